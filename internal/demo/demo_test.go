package demo_test

import (
	"bytes"
	"fmt"
	"image"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/demo"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestDemo runs all of it on a part of the Go installation.
func TestDemo(t *testing.T) {
	var stdout, bars bytes.Buffer
	out := t.TempDir()
	r, err := demo.Run(t.Context(), demo.Config{Limit: 30, Out: out, Stdout: &stdout, Progress: &bars})
	if err != nil {
		t.Fatalf("%v\n%s", err, stdout.String())
	}
	// Run compares with the count of a single thread; here it is that something was counted, and said.
	if n := r.Identifiers.Tally.Files; n != 30 {
		t.Errorf("%d files were counted, want 30", n)
	}
	if top := r.Identifiers.Top; len(top) != 20 || top[0].Count != r.Identifiers.Tally.Counts[top[0].Word] || top[0].Count < top[19].Count {
		t.Errorf("the top 20 are %v", top)
	}
	if !strings.Contains(stdout.String(), "one thread counts the same") {
		t.Errorf("nothing is said of the count in one thread:\n%s", stdout.String())
	}

	failed := map[string]string{}
	for _, f := range r.Photo.Failed {
		if f.Err.Code != fault.FunctionError || f.Err.Node != "decode" {
			t.Errorf("%s failed with %v, want function_error at node decode", f.Name, f.Err)
		}
		failed[f.Name] = f.Err.Message
	}
	for name, reason := range map[string]string{
		"invalid-trunc.png": "the image is truncated", "invalid-noend.png": "the image is truncated",
		"invalid-crc32.png": "invalid checksum", "invalid-zlib.png": "invalid checksum",
	} {
		if !strings.Contains(failed[name], reason) {
			t.Errorf("%s failed with %q, want %q", name, failed[name], reason)
		}
		if !strings.Contains(stdout.String(), name+": node decode: ") {
			t.Errorf("the failure of %s is not shown", name)
		}
	}
	if len(r.Photo.Written) < 30 {
		t.Errorf("%d sheets were written, want those of all images that are in order", len(r.Photo.Written))
	}
	for _, path := range r.Photo.Written {
		if filepath.Dir(path) != out || !strings.Contains(stdout.String(), path) {
			t.Errorf("%s is not where it should be, or not said", path)
		}
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := png.Decode(f); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		_ = f.Close()
	}
	for _, want := range []string{"the gateway listens at http://127.0.0.1:", "curl -s http://127.0.0.1:", "done in "} {
		if !strings.Contains(strings.ToLower(stdout.String()), want) {
			t.Errorf("the output lacks %q", want)
		}
	}
	if !strings.Contains(bars.String(), "put") {
		t.Errorf("no progress was shown: %q", bars.String())
	}
}

// TestLent: with executors that keep nothing, tallies that are too large for a message go through lent memory, and come to
// what they do without it.
func TestLent(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the demo twice")
	}
	source, pictures := t.TempDir(), t.TempDir()
	for i := range 4 {
		var b bytes.Buffer
		fmt.Fprintf(&b, "package p%d\n", i)
		b.WriteString("/*" + strings.Repeat(" ", 5<<20) + "*/\n") // nearly a bundle, so that every executor has one
		for n := range 12_000 {
			fmt.Fprintf(&b, "var identifierOfFile%dNumber%d, shared%d int\n", i, n, n)
		}
		if err := os.WriteFile(filepath.Join(source, fmt.Sprintf("f%d.go", i)), b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, 8, 8))); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(pictures, "grey.png"), b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(lent bool) (*demo.Report, string) {
		var stdout bytes.Buffer
		r, err := demo.Run(t.Context(), demo.Config{Dir: source, Images: pictures, Out: t.TempDir(), Lent: lent, Stdout: &stdout})
		if err != nil {
			t.Fatalf("%v\n%s", err, stdout.String())
		}
		return r, stdout.String()
	}
	plain, _ := run(false)
	r, said := run(true)
	if got, want := r.Identifiers.Tally, plain.Identifiers.Tally; got.Files != 4 || got.Files != want.Files || got.Bytes != want.Bytes || !maps.Equal(got.Counts, want.Counts) {
		t.Errorf("%d identifiers in %d files through lent memory, %d in %d without", len(got.Counts), got.Files, len(want.Counts), want.Files)
	}
	if plain.Identifiers.Lent != (demo.Lent{}) {
		t.Errorf("%+v went through lent memory unasked", plain.Identifiers.Lent)
	}
	l := r.Identifiers.Lent
	if l.Puts == 0 || l.Gets == 0 {
		t.Errorf("%+v went through lent memory", l)
	}
	if !strings.Contains(said, fmt.Sprintf("%d intermediates went through lent memory, and were read there %d times", l.Puts, l.Gets)) {
		t.Errorf("%+v is not said:\n%s", l, said)
	}
}

// TestNoInput is told what to do before anything starts.
func TestNoInput(t *testing.T) {
	for _, c := range []struct {
		name string
		cfg  demo.Config
		want string
	}{
		{"no such directory", demo.Config{Dir: filepath.Join(t.TempDir(), "gone")}, "--dir"},
		{"nothing in it", demo.Config{Dir: t.TempDir()}, "--dir"},
		{"no pictures", demo.Config{Limit: 1, Images: t.TempDir()}, "--images"},
	} {
		_, err := demo.Run(t.Context(), c.cfg)
		if !fault.Is(err, fault.InvalidArgument) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want invalid_argument that names %s", c.name, err, c.want)
		}
	}
}
