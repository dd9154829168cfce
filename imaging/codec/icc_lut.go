package codec

import "encoding/binary"

// lutProfile is a profile that says what its colours are by a table: device values in 0..1, one for each
// channel of its space, go through curves, a grid and curves to the connection space
// (ICC.1:2022 10.10 lut16Type, 10.11 lut8Type, 10.12 lutAToBType).
type lutProfile struct {
	space    string // GRAY, RGB or CMYK
	channels int
	before   []func(float64) float64 // one a channel
	grid     *lutGrid                // nil: three channels go on as they are
	between  []func(float64) float64 // three; nil: none
	matrix   *[12]float64            // nil: none
	after    []func(float64) float64 // three; nil: none
	pcs      func(v [3]float64) [3]float64
}

// lutGrid holds three values at each point of a grid, the last channel varying fastest.
type lutGrid struct {
	points []int // along each channel
	values []float64
}

// maxGridValues bounds a grid: press profiles have 17⁴·3 values.
const maxGridValues = 1 << 20

// xyz returns what a colour is, in XYZ relative to D50.
func (p *lutProfile) xyz(in []float64) [3]float64 {
	var dev [4]float64
	for i := range p.channels {
		dev[i] = unit(p.before[i](in[i]))
	}
	v := [3]float64{dev[0], dev[1], dev[2]}
	if p.grid != nil {
		v = p.grid.at(dev[:p.channels])
	}
	each(&v, p.between)
	if m := p.matrix; m != nil {
		v = [3]float64{
			unit(m[0]*v[0] + m[1]*v[1] + m[2]*v[2] + m[9]),
			unit(m[3]*v[0] + m[4]*v[1] + m[5]*v[2] + m[10]),
			unit(m[6]*v[0] + m[7]*v[1] + m[8]*v[2] + m[11]),
		}
	}
	each(&v, p.after)
	return p.pcs(v)
}

func each(v *[3]float64, curves []func(float64) float64) {
	if curves == nil {
		return
	}
	for i := range v {
		v[i] = unit(curves[i](v[i]))
	}
}

// unit clips to 0..1; what is no number is 0.
func unit(x float64) float64 {
	if !(x > 0) {
		return 0
	}
	return min(x, 1)
}

// at interpolates linearly along every channel between the corners of one cell.
func (g *lutGrid) at(in []float64) (out [3]float64) {
	var low, step [4]int
	var part [4]float64
	stride := 3
	for i := len(in) - 1; i >= 0; i-- {
		pos := in[i] * float64(g.points[i]-1)
		k := min(int(pos), g.points[i]-2)
		low[i], step[i], part[i] = k*stride, stride, pos-float64(k)
		stride *= g.points[i]
	}
	for corner := range 1 << len(in) {
		at, weight := 0, 1.0
		for i := range in {
			at += low[i]
			if corner>>i&1 == 1 {
				at += step[i]
				weight *= part[i]
			} else {
				weight *= 1 - part[i]
			}
		}
		if weight != 0 {
			for k := range out {
				out[k] += weight * g.values[at+k]
			}
		}
	}
	return out
}

// connection reads values of the connection space as tables hold them, 0..1 standing for the full
// range (ICC.1:2022 6.3.4); legacy is the older 16-bit Lab of lut16Type.
func connection(pcs string, legacy bool) func([3]float64) [3]float64 {
	switch {
	case pcs == "XYZ ":
		return func(v [3]float64) [3]float64 {
			const full = 1 + 32767.0/32768
			return [3]float64{v[0] * full, v[1] * full, v[2] * full}
		}
	case pcs != "Lab ":
		return nil
	}
	scale := 1.0
	if legacy {
		scale = 65535.0 / 65280
	}
	return func(v [3]float64) [3]float64 {
		return labToXYZ(100*scale*v[0], 255*scale*v[1]-128, 255*scale*v[2]-128)
	}
}

// labToXYZ is the inverse of CIE 1976 L*a*b*, white being D50.
func labToXYZ(l, a, b float64) [3]float64 {
	f := func(t float64) float64 {
		if t > 6.0/29 {
			return t * t * t
		}
		return 3 * 36.0 / 841 * (t - 4.0/29)
	}
	y := (l + 16) / 116
	return [3]float64{0.9642 * f(y+a/500), f(y), 0.8249 * f(y-b/200)}
}

// readLUT reads the table of an A2B tag for a profile with so many channels.
func readLUT(tag []byte, space, pcs string, channels int) (*lutProfile, error) {
	p := &lutProfile{space: space, channels: channels}
	if len(tag) < 32 || int(tag[8]) != channels || tag[9] != 3 {
		return nil, errProfile
	}
	ok := false
	switch string(tag[:4]) {
	case "mft1", "mft2":
		ok = p.readFixed(tag, string(tag[:4]) == "mft2", pcs)
	case "mAB ":
		ok = p.readCurved(tag, pcs)
	}
	if !ok || p.pcs == nil {
		return nil, errProfile
	}
	return p, nil
}

// readFixed reads lut8Type or lut16Type. Its matrix is for tables that begin in XYZ.
func (p *lutProfile) readFixed(tag []byte, wide bool, pcs string) bool {
	width, entries, exits, at := 1, 256, 256, 48
	if wide {
		if len(tag) < 52 {
			return false
		}
		width, at = 2, 52
		entries, exits = int(binary.BigEndian.Uint16(tag[48:])), int(binary.BigEndian.Uint16(tag[50:]))
	}
	p.pcs = connection(pcs, wide)
	if entries < 2 || entries > 4096 || exits < 2 || exits > 4096 || len(tag) < at {
		return false
	}
	body := tag[at:]
	take := func(n int) []float64 {
		if n > maxGridValues || len(body) < n*width {
			return nil
		}
		v := numbers(body[:n*width], width)
		body = body[n*width:]
		return v
	}
	for range p.channels {
		p.before = append(p.before, sampled(take(entries)))
	}
	points := make([]int, p.channels)
	for i := range points {
		points[i] = int(tag[10])
	}
	n := gridValues(points)
	if n == 0 {
		return false
	}
	p.grid = &lutGrid{points, take(n)}
	for range 3 {
		p.after = append(p.after, sampled(take(exits)))
	}
	return p.grid.values != nil && p.after[2] != nil // whatever was taken before the last is there, too
}

// gridValues is how many values a grid holds; 0 when it cannot be one.
func gridValues(points []int) int {
	n := 3
	for _, g := range points {
		if g < 2 || n > maxGridValues/g {
			return 0
		}
		n *= g
	}
	return n
}

// readCurved reads lutAToBType: A curves, grid, M curves, matrix, B curves, most of which may be absent.
func (p *lutProfile) readCurved(tag []byte, pcs string) bool {
	p.pcs = connection(pcs, false)
	offset := func(at int) []byte {
		off := binary.BigEndian.Uint32(tag[at:])
		if off == 0 || uint64(off) >= uint64(len(tag)) {
			return nil
		}
		return tag[off:]
	}
	b, matrix, m, grid, a := offset(12), offset(16), offset(20), offset(24), offset(28)
	if p.after = curves(b, 3); p.after == nil {
		return false
	}
	if m != nil {
		if p.between = curves(m, 3); p.between == nil {
			return false
		}
	}
	if matrix != nil {
		if len(matrix) < 48 {
			return false
		}
		p.matrix = new([12]float64)
		for i := range p.matrix {
			p.matrix[i] = s15Fixed16(matrix[4*i:])
		}
	}
	if grid == nil {
		p.before = []func(float64) float64{same1, same1, same1}
		return p.channels == 3 && a == nil
	}
	if p.before = curves(a, p.channels); p.before == nil || len(grid) < 20 {
		return false
	}
	points := make([]int, p.channels)
	for i := range points {
		points[i] = int(grid[i])
	}
	n, width := gridValues(points), int(grid[16])
	if n == 0 || width != 1 && width != 2 || len(grid) < 20+n*width {
		return false
	}
	p.grid = &lutGrid{points, numbers(grid[20:20+n*width], width)}
	return true
}

func same1(x float64) float64 { return x }

// curves reads n curves that follow one another, each on a boundary of four bytes.
func curves(p []byte, n int) (out []func(float64) float64) {
	for range n {
		f, size := curveOf(p)
		if f == nil {
			return nil
		}
		out = append(out, f)
		p = p[min((size+3)&^3, len(p)):]
	}
	return out
}

// curveOf reads one curve and tells its size.
func curveOf(tag []byte) (f func(float64) float64, size int) {
	if len(tag) < 12 {
		return nil, 0
	}
	switch string(tag[:4]) {
	case "curv":
		n := int64(binary.BigEndian.Uint32(tag[8:]))
		if n > int64(len(tag)-12)/2 {
			return nil, 0
		}
		size = 12 + 2*int(n)
		return sampledCurve(tag[12:size], int(n)), size
	case "para":
		kind := binary.BigEndian.Uint16(tag[8:])
		if f = parametricCurve(tag); f == nil {
			return nil, 0
		}
		return f, 12 + 4*[5]int{1, 3, 4, 5, 7}[kind]
	}
	return nil, 0
}

// numbers reads unsigned integers of one or two bytes as 0..1.
func numbers(p []byte, width int) []float64 {
	out := make([]float64, len(p)/width)
	for i := range out {
		if width == 1 {
			out[i] = float64(p[i]) / 255
		} else {
			out[i] = float64(binary.BigEndian.Uint16(p[2*i:])) / 65535
		}
	}
	return out
}

// sampled is a curve through equidistant values; nil without any.
func sampled(v []float64) func(float64) float64 {
	if v == nil {
		return nil
	}
	return func(x float64) float64 {
		pos := unit(x) * float64(len(v)-1)
		i := min(int(pos), len(v)-2)
		return v[i] + (pos-float64(i))*(v[i+1]-v[i])
	}
}
