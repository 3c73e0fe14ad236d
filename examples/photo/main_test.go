package main

import (
	"bytes"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	dir := t.TempDir()
	pictures, err := filepath.Glob("testdata/*")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := run(t.Context(), &out, pictures, dir); err != nil {
		t.Fatal(err)
	}
	got := strings.ReplaceAll(out.String(), dir+string(filepath.Separator), "")
	const want = `cut.jpeg: node decode: this is no picture that could be read: invalid JPEG format: short Huffman data [function_error]
meadow.png: 120 by 160 pixels, mostly green; meadow.png.small.png
sunset.jpeg: 240 by 160 pixels, mostly red; sunset.jpeg.small.png
`
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	f, err := os.Open(filepath.Join(dir, "sunset.jpeg.small.png"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if m, err := png.DecodeConfig(f); err != nil || m.Width != 60 || m.Height != 40 {
		t.Errorf("the thumbnail is %d by %d, %v", m.Width, m.Height, err)
	}
}
