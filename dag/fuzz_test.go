package dag_test

import (
	"bytes"
	"testing"

	"github.com/squall-faas/squall/dag"
)

// FuzzDecode: whatever comes, Decode does not panic, and what it takes can be indexed, encoded and written as a file.
func FuzzDecode(f *testing.F) {
	f.Add(dag.Encode(diamond(f)))
	f.Add(dag.Encode(dag.Single("f", 2)))
	f.Fuzz(func(t *testing.T, b []byte) {
		g, err := dag.Decode(b)
		if err != nil {
			return
		}
		again, err := dag.Decode(dag.Encode(g))
		if err != nil || dag.Hash(again) != dag.Hash(g) {
			t.Fatalf("encoded again it does not come back: %v", err)
		}
		for s := range dag.Source(g.Sources()) {
			_, _ = g.Consumers(s), g.OutputsOf(s)
		}
		sameAsFile(t, g)
	})
}

// FuzzParse: whatever comes, Parse does not panic, and what it takes comes back from its own files.
func FuzzParse(f *testing.F) {
	f.Add(diamond(f).YAML())
	f.Add(diamond(f).JSON())
	f.Fuzz(func(t *testing.T, b []byte) {
		g, err := dag.Parse(b)
		if err != nil {
			return
		}
		if again, err := dag.Decode(dag.Encode(g)); err != nil || dag.Hash(again) != dag.Hash(g) {
			t.Fatalf("encoded it does not come back: %v", err)
		}
		sameAsFile(t, g)
	})
}

func sameAsFile(t *testing.T, g *dag.Graph) {
	t.Helper()
	for _, file := range [][]byte{g.YAML(), g.JSON()} {
		if len(file) > dag.MaxSize {
			continue // quoting and base64 make a file larger than the encoding
		}
		parsed, err := dag.Parse(file)
		if err != nil || !bytes.Equal(dag.Encode(parsed), dag.Encode(g)) {
			t.Fatalf("as a file it does not come back: %v\n%s", err, file)
		}
	}
}
