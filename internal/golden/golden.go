// Package golden holds formats to the bytes that were released: what is stored or sent must be read for ever.
//
//	testdata/golden/<name>.hex   the bytes, in hex, in lines of 32
//
// Run the tests with -update to write files that are not there yet; those that are there never change. A format that gains a
// field keeps the old file and gets another under a new name. Only tests import this package.
package golden

import (
	"bytes"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write golden bytes that are not there yet; those that are there never change")

// Check holds got, which today's code writes, to the golden bytes of that name, and gives these, for today's code to read.
func Check(t testing.TB, name string, got []byte) []byte {
	t.Helper()
	path := filepath.Join("testdata", "golden", name+".hex")
	text, err := os.ReadFile(path)
	if os.IsNotExist(err) && *update {
		text, err = []byte(lines(got)), write(path, lines(got))
	}
	if err != nil {
		t.Fatalf("no golden bytes %s: %v; run go test -update if this format is new", name, err)
	}
	want, err := hex.DecodeString(strings.Join(strings.Fields(string(text)), ""))
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is written as\n%sand was written as\n%swhich stores and nodes that exist hold", name, lines(got), lines(want))
	}
	return want
}

func write(path, text string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(text), 0o600)
}

func lines(b []byte) string {
	var out strings.Builder
	for len(b) > 32 {
		fmt.Fprintf(&out, "%x\n", b[:32])
		b = b[32:]
	}
	fmt.Fprintf(&out, "%x\n", b)
	return out.String()
}
