package bench

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/squall-faas/squall/fault"
)

// TestHitRatios runs the whole suite in small: what must hold of any run does.
func TestHitRatios(t *testing.T) {
	seed := rand.Uint64()
	rows, ratios, err := hitRatios(t.Context(), true, seed)
	if err != nil {
		t.Fatal(err)
	}
	r := &Report{Suite: "cache", Rows: rows, Ratios: ratios}
	share := func(name, metric string) float64 {
		x := r.Row(name, metric)
		if x == nil || x.P50 <= 0 || x.P50 > 1 || x.N == 0 || x.Unit != "share" {
			t.Fatalf("seed %d: %s, %s: %+v", seed, name, metric, x)
		}
		t.Logf("%-16s %-30s %.4f", name, metric, x.P50)
		return x.P50
	}
	for _, w := range []string{"zipf", "scan", "shift"} {
		best := share("hits "+w, "Belady")
		cachelet, lru := share("hits "+w, "cachelet"), share("hits "+w, "LRU")
		share("hits "+w, "LRU, payloads counted only")
		if cachelet > best || lru > best {
			t.Errorf("seed %d: %s: the optimum is %.4f, the cachelet has %.4f, LRU %.4f", seed, w, best, cachelet, lru)
		}
		if got := ratios["hit_"+w+"_over_lru"]; got != cachelet/lru || got < 0.5 {
			t.Errorf("seed %d: %s: %g of LRU", seed, w, got)
		}
		if got := ratios["hit_"+w+"_over_belady"]; got != cachelet/best {
			t.Errorf("seed %d: %s: %g of the optimum", seed, w, got)
		}
	}
	for name, ratio := range map[string]string{"steady": "split", "shifting": "split_shifting"} {
		auto, even, static := share("split "+name, "by reuse"), share("split "+name, "even"), share("split "+name, "best static")
		if static < even {
			t.Errorf("seed %d: %s: the best static split has %.4f, the even one %.4f", seed, name, static, even)
		}
		if auto < even {
			t.Errorf("seed %d: %s: split by reuse %.4f, even %.4f", seed, name, auto, even)
		}
		if ratios[ratio+"_over_even"] != auto/even || ratios[ratio+"_over_best_static"] != auto/static {
			t.Errorf("seed %d: %s: %v", seed, name, ratios)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := hitRatios(ctx, true, seed); !fault.Is(err, fault.Cancelled) && !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// TestBeladyIsBest compares it with every way to evict, and to take in, that there is.
func TestBeladyIsBest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		keys, room := rapid.IntRange(1, 5).Draw(t, "keys"), rapid.IntRange(1, 3).Draw(t, "room")
		of := rapid.SliceOfN(rapid.IntRange(0, keys-1), 0, 10).Draw(t, "accesses")
		var best func(held []int, of []int) int
		best = func(held []int, of []int) int {
			switch {
			case len(of) == 0:
				return 0
			case slices.Contains(held, of[0]):
				return 1 + best(held, of[1:])
			}
			most := best(held, of[1:])
			if len(held) < room {
				return max(most, best(append(slices.Clone(held), of[0]), of[1:]))
			}
			for i := range held {
				other := slices.Clone(held)
				other[i] = of[0]
				most = max(most, best(other, of[1:]))
			}
			return most
		}
		got, want := runBelady(of, keys, room), best(nil, of)
		if got != want {
			t.Fatalf("%d hits of %v in %d, possible are %d", got, of, room, want)
		}
		if lru := runLRU(of, int64(room), 1); lru > got {
			t.Fatalf("LRU has %d hits, the optimum %d", lru, got)
		}
	})
}
