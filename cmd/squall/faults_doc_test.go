package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestFaultsDocument holds docs/faults.md to the tests that it names, and to a line for each of its rows.
func TestFaultsDocument(t *testing.T) {
	root := filepath.FromSlash("../..")
	b, err := os.ReadFile(filepath.Join(root, "docs", "faults.md"))
	if err != nil {
		t.Fatal(err)
	}
	test := regexp.MustCompile("`([a-z0-9_/]+_test\\.go):((?:Test|Fuzz)\\w+)`")
	row := 0
	for line := range strings.Lines(string(b)) {
		number, _, ok := strings.Cut(line, ". ")
		if n, err := strconv.Atoi(number); ok && err == nil {
			if row++; n != row {
				t.Errorf("row %d stands where %d should", n, row)
			}
			if !test.MatchString(line) && !strings.Contains(line, "Not tested: ") {
				t.Errorf("row %d names no test, and does not say why not", n)
			}
		}
		for _, m := range test.FindAllStringSubmatch(line, -1) {
			source, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(m[1])))
			if err != nil || !strings.Contains(string(source), "\nfunc "+m[2]+"(") {
				t.Errorf("%s names %s:%s, which is not there (%v)", number, m[1], m[2], err)
			}
		}
	}
	if row != 54 {
		t.Errorf("%d rows", row)
	}
}
