package main

import "testing"

// TestLendSize: nothing, so much, or what is usual.
func TestLendSize(t *testing.T) {
	for text, want := range map[string]lendSize{"none": -1, "0": -1, "64MiB": 64 << 20, "100": 100} {
		var s lendSize
		if err := s.Set(text); err != nil || s != want {
			t.Errorf("%s: %d, %v", text, s, err)
		}
	}
	var s lendSize
	if s.Set("much") == nil || s != 0 {
		t.Error(s)
	}
}
