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
	const want = `summary:  5 stations, hill to harbour, mean 10.86
cold:     hill, forest
headline: 10.9 degrees on average, warmest at the harbour; cold at the hill and the forest
node offsets was tried 3 times
and a bad report: node parse: line "lighthouse warm" is no reading: write a station and its degrees [function_error]
`
	if out.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", out.String(), want)
	}
}
