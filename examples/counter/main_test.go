package main

import (
	"bytes"
	"regexp"
	"testing"
)

func TestRun(t *testing.T) {
	var out bytes.Buffer
	if err := run(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	// How many visits are lost is chance.
	want := regexp.MustCompile(`^home: visit 1
home: visit 2
home: visit 3
busy: (1?\d|20) of 20 visits counted by reading and writing
exact: 20 of 20 visits counted by adding
left\{both\}: 20 of 20 visits counted by transactions
ann is logged in
ann is gone: the session lived for a second
$`)
	if !want.MatchString(out.String()) {
		t.Errorf("got:\n%s\nwant a match of:\n%s", out.String(), want)
	}
}
