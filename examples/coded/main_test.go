package main

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestRun(t *testing.T) {
	var out bytes.Buffer
	if err := run(t.Context(), &out, 1, 4); err != nil {
		t.Fatal(err)
	}
	const want = `product of 32 numbers from blocks [0 2 3 5]: correct true
workers let go: [1 4]
`
	if out.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", out.String(), want)
	}
}

// TestAnySlowPair: whichever two workers never return, the product is there; a third one is too many.
func TestAnySlowPair(t *testing.T) {
	for _, slow := range [][]int{{}, {0, 5}, {2, 3}, {4, 5}} {
		var out bytes.Buffer
		if err := run(t.Context(), &out, slow...); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(out.String(), "correct true") || !strings.Contains(out.String(), fmt.Sprintf("let go: %v", slow)) {
			t.Errorf("without %v: %s", slow, out.String())
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := run(ctx, &bytes.Buffer{}, 0, 1, 2); err == nil {
		t.Error("three of six blocks gave a product")
	}
}

// TestAnyBlocksSuffice: the product of a drawn matrix comes out of any k of its n blocks.
func TestAnyBlocksSuffice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 9).Draw(t, "n")
		k := rapid.IntRange(1, n).Draw(t, "k")
		entry := rapid.Int64Range(-1000, 1000)
		columns := rapid.IntRange(1, 5).Draw(t, "columns")
		matrix := rapid.SliceOfN(rapid.SliceOfN(entry, columns, columns), 1, 12).Draw(t, "matrix")
		vector := rapid.SliceOfN(entry, columns, columns).Draw(t, "vector")
		coded, err := encode(matrix, k, n)
		if err != nil {
			t.Fatal(err)
		}
		from := make([]int, n)
		for i := range from {
			from[i] = i
		}
		from = rapid.Permutation(from).Draw(t, "blocks")[:k]
		var products [][]uint64
		for _, i := range from {
			p, err := times(coded[i], vector)
			if err != nil {
				t.Fatal(err)
			}
			products = append(products, p)
		}
		got, err := decode(from, products, k)
		if err != nil {
			t.Fatal(err)
		}
		if want := plain(matrix, vector); !slices.Equal(got[:len(want)], want) {
			t.Fatalf("got %v, want %v", got, want)
		}
		if k > 1 {
			from[1], products[1] = from[0], products[0]
			if _, err := decode(from, products, k); err == nil {
				t.Fatal("one block that came twice was taken for two")
			}
		}
	})
}
