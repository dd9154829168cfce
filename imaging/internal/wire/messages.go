package wire

import (
	"fmt"
	"io"
)

// WriteHello tells the service which fences stand.
func WriteHello(w io.Writer, h Hello) error {
	var f fields
	f.putU32(h.Fences)
	return writeFrame(w, helloMagic, f.b)
}

// ReadHello reads a worker's greeting.
func ReadHello(r io.Reader) (Hello, error) {
	f, err := readHead(r, helloMagic)
	if err != nil {
		return Hello{}, err
	}
	h := Hello{Fences: Fences(f.u32())}
	return h, f.done()
}

// WriteRequest sends a request; its blobs are not copied.
func WriteRequest(w io.Writer, q Request) error {
	if len(q.Blobs) > MaxBlobs {
		return fmt.Errorf("wire: %d blobs in one request", len(q.Blobs))
	}
	var f fields
	f.putU8(byte(q.Mode))
	f.putI64(q.Limits.MaxPixels)
	f.putI64(q.Limits.MaxSide)
	f.putI64(q.Limits.MemoryBytes)
	if len(q.Regions) > MaxRegions {
		return fmt.Errorf("wire: %d regions in one request", len(q.Regions))
	}
	f.putU16(len(q.Regions))
	for _, r := range q.Regions {
		if !r.Valid() {
			return fmt.Errorf("wire: %w: a region outside of the picture", ErrFrame)
		}
		f.putU8(byte(r.Shape))
		for _, v := range []int{r.X, r.Y, r.Width, r.Height} {
			f.putU16(v)
		}
	}
	f.putU16(len(q.Blobs))
	for _, b := range q.Blobs {
		f.putI64(int64(len(b)))
	}
	return writeFrame(w, requestMagic, f.b, q.Blobs...)
}

// ReadRequest reads a request whose blobs are at most maxBytes together.
func ReadRequest(r io.Reader, maxBytes int64) (Request, error) {
	f, err := readHead(r, requestMagic)
	if err != nil {
		return Request{}, err
	}
	q := Request{Mode: Mode(f.u8())}
	q.Limits = Limits{MaxPixels: f.i64(), MaxSide: f.i64(), MemoryBytes: f.i64()}
	for range f.list(MaxRegions) {
		r := Region{Shape: Shape(f.u8()), X: f.u16(), Y: f.u16(), Width: f.u16(), Height: f.u16()}
		if f.err == nil && !r.Valid() {
			f.fail()
		}
		q.Regions = append(q.Regions, r)
	}
	lens := make([]int64, f.list(MaxBlobs))
	for i := range lens {
		lens[i] = f.i64()
	}
	if err := f.done(); err != nil {
		return Request{}, err
	}
	q.Blobs, err = readBlobs(r, lens, maxBytes)
	return q, err
}

// WriteAnswer sends a worker's answer; the renditions' data is not copied.
func WriteAnswer(w io.Writer, a Answer) error {
	var f fields
	f.putText(a.Code)
	f.putText(a.Detail)
	f.putI64(a.Need)
	f.putFlag(a.HEVC)
	f.putU32(a.Held)
	putFindings(&f, &a.Findings)
	f.putU16(len(a.Seen))
	for _, s := range a.Seen {
		f.putText(s.ContentType)
		f.putI64(int64(s.Width))
		f.putI64(int64(s.Height))
		f.put(s.Pixels[:])
	}
	f.putU16(len(a.Renditions))
	var blobs [][]byte
	for i, r := range a.Renditions {
		pieces := [][]byte{r.Data}
		if r.Data == nil && i < len(a.Pieces) {
			pieces = a.Pieces[i]
		}
		size := 0
		for _, p := range pieces {
			size += len(p)
		}
		f.putText(r.Name)
		f.putText(r.ContentType)
		f.putI64(int64(r.Width))
		f.putI64(int64(r.Height))
		f.putI64(int64(size))
		blobs = append(blobs, pieces...)
	}
	return writeFrame(w, answerMagic, f.b, blobs...)
}

// ReadAnswer reads an answer whose renditions are at most maxBytes together.
func ReadAnswer(r io.Reader, maxBytes int64) (Answer, error) {
	f, err := readHead(r, answerMagic)
	if err != nil {
		return Answer{}, err
	}
	a := Answer{Code: f.text(), Detail: f.text(), Need: f.i64(), HEVC: f.flag(), Held: Fences(f.u32())}
	getFindings(f, &a.Findings)
	a.Seen = make([]Seen, f.list(MaxBlobs))
	for i := range a.Seen {
		s := &a.Seen[i]
		s.ContentType = f.text()
		s.Width, s.Height = f.side(), f.side()
		f.hash(s.Pixels[:])
	}
	a.Renditions = make([]Rendition, f.list(MaxBlobs))
	lens := make([]int64, len(a.Renditions))
	for i := range a.Renditions {
		p := &a.Renditions[i]
		p.Name, p.ContentType = f.text(), f.text()
		p.Width, p.Height = f.side(), f.side()
		lens[i] = f.i64()
	}
	if err := f.done(); err != nil {
		return Answer{}, err
	}
	blobs, err := readBlobs(r, lens, maxBytes)
	if err != nil {
		return Answer{}, err
	}
	for i := range blobs {
		a.Renditions[i].Data = blobs[i]
	}
	return a, nil
}

// ReadEnd demands that nothing follows.
func ReadEnd(r io.Reader) error {
	var one [1]byte
	if n, err := r.Read(one[:]); n != 0 || err != io.EOF {
		return fmt.Errorf("%w: data after the answer", ErrFrame)
	}
	return nil
}

// side reads a picture's width or height; JPEG, PNG and WebP all stay below 2^31.
func (f *fields) side() int {
	v := f.i64()
	if v > 1<<31-1 {
		f.fail()
		return 0
	}
	return int(v)
}

func putFindings(f *fields, v *Findings) {
	f.putText(v.Format)
	f.putI64(int64(v.Width))
	f.putI64(int64(v.Height))
	f.putText(v.CaptureTime)
	f.putU8(byte(v.Orientation))
	f.putFlag(v.HadGPS)
	f.putFlag(v.EXIFUnreadable)
	f.putU16(min(len(v.Removed), maxList))
	for _, r := range v.Removed[:min(len(v.Removed), maxList)] {
		f.putText(r.Kind)
		f.putI64(r.Bytes)
	}
	f.putFlag(v.CodedDataKept)
	f.putFlag(v.OrientationBaked)
	f.putFlag(v.TurnedWithoutLoss)
	f.putFlag(v.ColourConverted)
	f.putText(v.SourceProfile)
	f.put(v.Pixels.Decoded[:])
	f.put(v.Pixels.Encoded[:])
}

func getFindings(f *fields, v *Findings) {
	v.Format = f.text()
	v.Width, v.Height = f.side(), f.side()
	v.CaptureTime = f.text()
	v.Orientation = int(f.u8())
	if v.Orientation > 8 {
		f.fail()
	}
	v.HadGPS = f.flag()
	v.EXIFUnreadable = f.flag()
	v.Removed = make([]Removed, f.list(maxList))
	for i := range v.Removed {
		v.Removed[i] = Removed{Kind: f.text(), Bytes: f.i64()}
	}
	v.CodedDataKept = f.flag()
	v.OrientationBaked = f.flag()
	v.TurnedWithoutLoss = f.flag()
	v.ColourConverted = f.flag()
	v.SourceProfile = f.text()
	f.hash(v.Pixels.Decoded[:])
	f.hash(v.Pixels.Encoded[:])
}
