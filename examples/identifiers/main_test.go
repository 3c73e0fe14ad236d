package main

import (
	"bytes"
	"testing"
)

func TestRun(t *testing.T) {
	var out bytes.Buffer
	if err := run(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	const want = "most frequent in 3 files: [T item items s q]\n"
	if out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}
