package imaging_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"photovault/imaging"
	"photovault/imaging/codec"
	"photovault/imaging/specimen"
)

// structural are the tags that exiftool derives from any picture at all.
var structural = map[string]bool{
	"SourceFile": true, "ExifTool:ExifToolVersion": true, "File:FileSize": true, "File:FileType": true, "File:FileName": true,
	"File:Directory": true, "File:FileTypeExtension": true, "File:MIMEType": true, "File:ImageWidth": true, "File:ImageHeight": true,
	"File:EncodingProcess": true, "File:BitsPerSample": true, "File:ColorComponents": true, "File:ColorTransform": true,
	"File:YCbCrSubSampling": true, "JFIF:JFIFVersion": true, "JFIF:ResolutionUnit": true,
	"JFIF:XResolution": true, "JFIF:YResolution": true, "Composite:ImageSize": true, "Composite:Megapixels": true,
	// Of the file that exiftool reads.
	"File:FileModifyDate": true, "File:FileAccessDate": true, "File:FileInodeChangeDate": true, "File:FilePermissions": true,
	// Of PNG: its header, the tag for sRGB, the palette.
	"PNG:ImageWidth": true, "PNG:ImageHeight": true, "PNG:BitDepth": true, "PNG:ColorType": true, "PNG:Compression": true,
	"PNG:Filter": true, "PNG:Interlace": true, "PNG:SRGBRendering": true, "PNG:Palette": true, "PNG:Transparency": true,
	// Of our own Adobe segment, without which RGB decodes wrongly.
	"APP14:DCTEncodeVersion": true, "APP14:APP14Flags0": true, "APP14:APP14Flags1": true, "APP14:ColorTransform": true,
	// Of WebP: its headers.
	"RIFF:ImageWidth": true, "RIFF:ImageHeight": true, "RIFF:VP8Version": true, "RIFF:HorizontalScale": true, "RIFF:VerticalScale": true,
	"RIFF:WebP_Flags": true, "RIFF:AlphaPreprocessing": true, "RIFF:AlphaFiltering": true, "RIFF:AlphaCompression": true,
	// Of HEIC: its boxes, and what its decoder configuration begins with.
	"QuickTime:MajorBrand": true, "QuickTime:MinorVersion": true, "QuickTime:CompatibleBrands": true, "QuickTime:HandlerType": true,
	"QuickTime:PrimaryItemReference": true, "QuickTime:MetaImageSize": true, "QuickTime:ImageSpatialExtent": true,
	"QuickTime:ImagePixelDepth": true, "QuickTime:MediaDataSize": true, "QuickTime:MediaDataOffset": true, "QuickTime:MediaData": true,
	"QuickTime:Rotation": true, "QuickTime:Unknown_imir": true, "QuickTime:CleanAperture": true,
	"QuickTime:HEVCConfigurationVersion": true, "QuickTime:GeneralProfileSpace": true, "QuickTime:GeneralTierFlag": true,
	"QuickTime:GeneralProfileIDC": true, "QuickTime:GenProfileCompatibilityFlags": true, "QuickTime:ConstraintIndicatorFlags": true,
	"QuickTime:GeneralLevelIDC": true, "QuickTime:MinSpatialSegmentationIDC": true, "QuickTime:ParallelismType": true,
	"QuickTime:ChromaFormat": true, "QuickTime:BitDepthLuma": true, "QuickTime:BitDepthChroma": true, "QuickTime:AverageFrameRate": true,
	"QuickTime:ConstantFrameRate": true, "QuickTime:NumTemporalLayers": true, "QuickTime:TemporalIDNested": true,
	"QuickTime:ColorProfiles": true, "QuickTime:ColorPrimaries": true, "QuickTime:TransferCharacteristics": true,
	"QuickTime:MatrixCoefficients": true, "QuickTime:VideoFullRangeFlag": true,
}

// isStructure also passes the parameter sets of a decoder configuration, byte by byte: each is read to its
// last bit before it is written.
func isStructure(tag string) bool {
	return structural[tag] || strings.HasPrefix(tag, "QuickTime:QuickTime_HEVCConfig_0x00")
}

// outputs sanitises real photos, full specimens and a photo for each carrier, and writes every rendition
// to a folder. It returns which of them carry our own profile.
func outputs(t *testing.T) (dir string, count int, p3 map[string]bool) {
	t.Helper()
	dir, p3 = t.TempDir(), map[string]bool{}
	all := map[string][]byte{"specimen": specimen.JPEG(specimen.Full(300, 200, 1))}
	o := specimen.Full(300, 200, 1)
	o.Orientation, o.ICC = 7, specimen.DisplayP3()
	all["specimen-turned"] = specimen.JPEG(o)
	for name, b := range specimen.WebPs() {
		all[name] = b
	}
	for i, kind := range []byte{0, 2, 3, 4, 6} {
		all[fmt.Sprint("png-kind-", kind)] = specimen.PNG(specimen.PNGOptions{Kind: kind, Depth: 8, Interlaced: i%2 == 0, Transparent: kind < 4})
	}
	if codec.PrepareHEVC() == nil {
		for _, kind := range []string{"420", "444", "10-bit", "gray", "grid"} {
			o := specimen.FullHEIC(kind, 1)
			if o.Turn = 1; kind != "10-bit" { // which libheif of some distributions does not mirror
				o.Mirror = 1
			}
			all["heic-"+kind] = specimen.HEIC(o)
		}
	}
	for i, x := range specimen.PlantAll(7) {
		if testing.Short() {
			break
		}
		all[fmt.Sprintf("planted-%s-%03d", x.Format, i)] = x.Data
	}
	globs := []string{"*.jpg", "png-*.png", "*.webp", "*.heic"}
	if testing.Short() {
		globs = []string{"*-tiny-*.jpg", "png-*.png"}
	}
	for _, glob := range globs {
		for name, b := range photos(t, glob) {
			all[name] = b
		}
	}
	p := pool(t, imaging.Config{WallClock: 2 * time.Minute}, "media-worker")
	for name, in := range all {
		r, err := p.Process(context.Background(), in)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, x := range r.Renditions {
			file := fmt.Sprintf("%s-%s.%s", name, x.Name, strings.TrimPrefix(x.ContentType, "image/"))
			p3[file] = r.Findings.SourceProfile == "Display P3" && x.Name == imaging.Original && !r.Findings.ColourConverted
			if err := os.WriteFile(filepath.Join(dir, file), x.Data, 0o600); err != nil {
				t.Fatal(err)
			}
			count++
		}
	}
	return dir, count, p3
}

// Two tools that know far more formats of metadata than this project look at every output.
func TestOtherToolsFindStructureOnly(t *testing.T) {
	exiftool, err := exec.LookPath("exiftool")
	if err != nil {
		require(t, "exiftool is not installed")
	}
	mat2, err := exec.LookPath("mat2")
	if err != nil {
		require(t, "mat2 is not installed")
	}
	dir, count, p3 := outputs(t)

	out, err := exec.Command(exiftool, "-j", "-G", "-a", "-u", "-U", "-ee", dir).Output()
	if err != nil {
		t.Fatalf("exiftool: %v", err)
	}
	var files []map[string]any
	if err := json.Unmarshal(out, &files); err != nil || len(files) != count {
		t.Fatalf("exiftool: %d files of %d, %v", len(files), count, err)
	}
	found := 0
	for _, tags := range files {
		name := filepath.Base(fmt.Sprint(tags["SourceFile"]))
		for tag, v := range tags {
			if strings.HasPrefix(tag, "ICC_Profile:") && p3[name] || tag == "PNG:ProfileName" && v == "Display P3" && p3[name] {
				continue // our own, compared byte for byte by the second worker
			}
			if !isStructure(tag) {
				found++
				t.Errorf("%s: %s = %v", name, tag, v)
			}
		}
	}
	t.Logf("exiftool: %d outputs, %d tags that are not structure", count, found)

	// mat2 starts exiftool for each file: the outputs of planted carriers are left to exiftool itself.
	var names []string
	for _, tags := range files {
		file := fmt.Sprint(tags["SourceFile"])
		// mat2 of some distributions knows no WebP.
		if !strings.HasPrefix(filepath.Base(file), "planted-") && !strings.HasSuffix(file, ".webp") {
			names = append(names, file)
		}
	}
	cmd := exec.Command(mat2, append([]string{"--show"}, names...)...)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	_ = cmd.Run() // it ends with 1 where it knows no metadata
	lookAtMat2(t, said.String(), len(names), p3)
	othersDecode(t, files)
}

// othersDecode has programs that are not ours decode every output, those of planted carriers excepted.
func othersDecode(t *testing.T, files []map[string]any) {
	t.Helper()
	decoded := map[string]int{}
	for _, tags := range files {
		file := fmt.Sprint(tags["SourceFile"])
		out := filepath.Join(t.TempDir(), "out")
		command := map[string][]string{
			".jpeg": {"djpeg", "-strict", "-pnm", "-outfile", out, file},
			".heic": {"heif-convert", file, out + ".y4m"},
			".webp": {"dwebp", "-quiet", "-pam", file, "-o", out},
		}[filepath.Ext(file)]
		if command == nil || strings.HasPrefix(filepath.Base(file), "planted-") {
			continue
		}
		if _, err := exec.LookPath(command[0]); err != nil {
			require(t, command[0]+" is not installed")
		}
		if said, err := exec.CommandContext(t.Context(), command[0], command[1:]...).CombinedOutput(); err != nil {
			t.Errorf("%s: %s: %v\n%s", filepath.Base(file), command[0], err, said)
		}
		decoded[command[0]]++
	}
	t.Logf("decoded by programs that are not ours: %v", decoded)
}

// lookAtMat2 reads what mat2 says of each file. It counts the chunk that says sRGB, a palette and our own
// profile as metadata.
func lookAtMat2(t *testing.T, said string, count int, p3 map[string]bool) {
	t.Helper()
	seen, found, name := 0, 0, ""
	for _, line := range strings.Split(said, "\n") {
		trimmed := strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "[+] Metadata for "):
			name = filepath.Base(strings.TrimSuffix(strings.TrimPrefix(line, "[+] Metadata for "), ":"))
			seen++
		case strings.HasPrefix(trimmed, "No metadata found in "):
			seen++
		case trimmed == "":
		default:
			key, _, _ := strings.Cut(trimmed, ":")
			tag := map[string]string{".png": "PNG:", ".heic": "QuickTime:"}[filepath.Ext(name)] + key
			if isStructure(tag) || p3[name] || structural["APP14:"+key] && strings.HasSuffix(name, ".jpeg") {
				continue
			}
			found++
			t.Errorf("mat2: %s: %s", name, trimmed)
		}
	}
	if seen != count {
		t.Errorf("mat2 spoke of %d files of %d:\n%.2000s", seen, count, said)
	}
	t.Logf("mat2: %d outputs, %d things that are not structure", seen, found)
}
