// Package words counts the identifiers of Go source: the functions of the demo's first DAG. Each is an ordinary Go
// func, which serves as a native function and as a WebAssembly one alike.
package words

import (
	"cmp"
	"go/scanner"
	"go/token"
	"maps"
	"slices"

	"github.com/squall-faas/squall/fn"
)

// Tally is what was counted in one file or in many.
type Tally struct {
	Files  int            `cbor:"files"`
	Bytes  int64          `cbor:"bytes"`
	Flawed int            `cbor:"flawed"` // files with something that is no Go; what could be read of them is counted
	Counts map[string]int `cbor:"counts"` // by identifier
}

// Entry is one identifier and how often it occurs.
type Entry struct {
	Word  string `cbor:"word"`
	Count int    `cbor:"count"`
}

// Add counts the identifiers of one more file into t. Source that is no Go is read as far as the scanner makes
// something of it.
func (t *Tally) Add(source []byte) {
	if t.Counts == nil {
		t.Counts = make(map[string]int, len(source)/64)
	}
	t.Files++
	t.Bytes += int64(len(source))
	file := token.NewFileSet().AddFile("", -1, len(source))
	var s scanner.Scanner
	s.Init(file, source, nil, 0) // no comments
	for {
		_, tok, name := s.Scan()
		switch tok {
		case token.EOF:
			if s.ErrorCount > 0 {
				t.Flawed++
			}
			return
		case token.IDENT:
			t.Counts[name]++
		}
	}
}

// Count counts the identifiers of one file.
func Count(_ fn.Context, source []byte) (Tally, error) {
	var t Tally
	t.Add(source)
	return t, nil
}

// CountAll counts the identifiers of several files.
func CountAll(_ fn.Context, sources [][]byte) (Tally, error) {
	var t Tally
	for _, source := range sources {
		t.Add(source)
	}
	return t, nil
}

// Merge adds two tallies up. It is associative, so that a Reduce may fold with it in any shape.
func Merge(_ fn.Context, a, b Tally) (Tally, error) {
	large, small := a.Counts, b.Counts
	if len(large) < len(small) {
		large, small = small, large
	}
	sum := Tally{Files: a.Files + b.Files, Bytes: a.Bytes + b.Bytes, Flawed: a.Flawed + b.Flawed}
	sum.Counts = make(map[string]int, len(large)+len(small)/2) // arguments are not ours to write to
	maps.Copy(sum.Counts, large)
	for word, n := range small {
		sum.Counts[word] += n
	}
	return sum, nil
}

// top is how many identifiers Top gives.
const top = 20

// Top gives the twenty identifiers that occur most, the most frequent first; equals go by the alphabet.
func Top(_ fn.Context, t Tally) ([]Entry, error) {
	out := make([]Entry, 0, len(t.Counts))
	for word, n := range t.Counts {
		out = append(out, Entry{word, n})
	}
	slices.SortFunc(out, func(a, b Entry) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Word, b.Word))
	})
	return slices.Clip(out[:min(top, len(out))]), nil
}
