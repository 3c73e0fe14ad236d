package reuse

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

// TestHotBounds holds SpaceSaving's promises against exact counts: what is certain is at most the truth, and who weighs
// more than the Keys-th part of all is there.
func TestHotBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := HotConfig{Keys: rapid.IntRange(1, 8).Draw(t, "keys"), Every: 1, ByBytes: rapid.Bool().Draw(t, "by bytes")}
		h := NewHot(cfg)
		weight, touches, all := map[string]float64{}, map[string]float64{}, 0.0
		names := rapid.IntRange(1, 20).Draw(t, "names")
		for range rapid.IntRange(0, 200).Draw(t, "steps") {
			if rapid.IntRange(0, 30).Draw(t, "epoch ends") == 0 {
				h.Advance()
				for name := range weight {
					weight[name] /= 2
					touches[name] /= 2
				}
				all /= 2
				continue
			}
			// The smaller of two draws: some are asked for more often than others.
			k := min(rapid.IntRange(1, names).Draw(t, "a"), rapid.IntRange(1, names).Draw(t, "b"))
			name, bytes, w := fmt.Sprint(k), int64(k*10), 1.0
			if cfg.ByBytes {
				w = float64(bytes)
			}
			h.Touch(name, bytes)
			weight[name] += w
			touches[name]++
			all += w
		}
		top := h.Top(100)
		if len(top) > cfg.Keys {
			t.Fatalf("%d keys", len(top))
		}
		seen := map[string]bool{}
		for i, o := range top {
			const e = 1e-9
			if o.Weight > weight[o.Name]+e || o.Touches > touches[o.Name]+e || o.Weight < 0 {
				t.Fatalf("%+v, is %g in %g touches", o, weight[o.Name], touches[o.Name])
			}
			if i > 0 && o.Weight > top[i-1].Weight || seen[o.Name] {
				t.Fatalf("%+v after %+v", o, top[i-1])
			}
			seen[o.Name] = true
		}
		for name, w := range weight {
			if w > all/float64(cfg.Keys)*(1+1e-9) && !seen[name] {
				t.Fatalf("%s weighs %g of %g and is not tracked", name, w, all)
			}
		}
		if len(weight) <= cfg.Keys { // nobody was displaced: all is exact
			for _, o := range top {
				if d := o.Weight - weight[o.Name]; d < -1e-9 || d > 1e-9 {
					t.Fatalf("%+v, is %g", o, weight[o.Name])
				}
			}
		}
	})
}

// TestHotFindsHotAndBig in a long stream of which it looks at one touch in sixteen.
func TestHotFindsHotAndBig(t *testing.T) {
	often, heavy := NewHot(HotConfig{}), NewHot(HotConfig{ByBytes: true})
	var wg sync.WaitGroup
	for w := range uint64(4) {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(w, 0))
			z := rand.NewZipf(rng, 1.1, 1, 100_000)
			for i := range 50_000 {
				name, bytes := fmt.Sprint("key ", z.Uint64()), int64(1000)
				if i%500 == 0 {
					name, bytes = "big", 10<<20
				}
				often.Touch(name, bytes)
				heavy.Touch(name, bytes)
			}
		})
	}
	wg.Wait()
	if top := often.Top(3); top[0].Name != "key 0" || top[1].Name != "key 1" {
		t.Errorf("most often: %+v", top)
	}
	if top := heavy.Top(1); top[0].Name != "big" || top[0].Bytes != 10<<20 || top[0].Touches < 200 || top[0].Touches > 800 {
		t.Errorf("heaviest: %+v, want about 400 touches of big", top)
	}
	for range 3 {
		often.Advance()
	}
	if top := often.Top(1); top[0].Idle != 3 {
		t.Errorf("%+v after three epochs", top)
	}
	if n := len(often.Top(1000)); n != DefaultHotKeys {
		t.Errorf("%d keys", n)
	}
}

func TestReplicas(t *testing.T) {
	s := Spread{Bandwidth: 100e6, Share: 0.25}
	for name, c := range map[string]struct {
		rate  float64
		bytes int64
		nodes int
		want  int
	}{
		"cold":            {0, 1 << 20, 8, 1},
		"small and hot":   {1000, 1000, 8, 1},
		"just fits":       {25, 1e6, 8, 1},
		"a little more":   {26, 1e6, 8, 2},
		"big":             {1, 100e6, 8, 4},
		"more than all":   {1000, 100e6, 8, 8},
		"alone":           {1000, 100e6, 1, 1},
		"no nodes":        {1000, 100e6, 0, 1},
		"nothing to send": {1000, -1, 8, 1},
	} {
		if got := s.Replicas(c.rate, c.bytes, c.nodes); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
	if got := (Spread{}).Replicas(1e9, 1e9, 8); got != 1 {
		t.Errorf("%d replicas although nothing is known of the bandwidth", got)
	}
	for name, c := range map[string]struct {
		have  int
		rate  float64
		nodes int
		want  int
	}{
		"grows at once":          {1, 60, 8, 3},
		"shrinks where it may":   {4, 45, 8, 3},
		"not for a little":       {4, 74, 8, 4},
		"cold":                   {8, 0, 8, 1},
		"peers went away":        {8, 200, 3, 3},
		"more than there are":    {5, 70, 4, 4},
		"has none yet":           {0, 1, 8, 1},
		"never more than before": {2, 49, 8, 2},
	} {
		if got := s.Next(c.have, c.rate, 1e6, c.nodes); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

// TestReplicasKeepTheShare: no peer serves more of one object than its share, unless all serve it.
func TestReplicasKeepTheShare(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := Spread{Bandwidth: rapid.Float64Range(1, 1e10).Draw(t, "bandwidth"), Share: rapid.Float64Range(0.01, 1).Draw(t, "share")}
		rate, bytes := rapid.Float64Range(0, 1e6).Draw(t, "rate"), rapid.Int64Range(0, 1<<30).Draw(t, "bytes")
		nodes := rapid.IntRange(1, 1000).Draw(t, "nodes")
		each := func(n int) float64 { return rate * float64(bytes) / float64(n) / (s.Bandwidth * s.Share) }
		n := s.Replicas(rate, bytes, nodes)
		if n < 1 || n > nodes || n < nodes && each(n) > 1+1e-9 || n > 1 && each(n-1) <= 1-1e-9 {
			t.Fatalf("%d of %d peers, each with %g of its share", n, nodes, each(n))
		}
		have := rapid.IntRange(0, nodes).Draw(t, "have")
		next := s.Next(have, rate, bytes, nodes)
		if next < n || next > max(n, have) || s.Next(next, rate, bytes, nodes) != next {
			t.Fatalf("from %d to %d, needed are %d", have, next, n)
		}
	})
}

func BenchmarkHotTouch(b *testing.B) {
	for _, every := range []int{1, DefaultHotEvery} {
		b.Run(fmt.Sprint("every ", every), func(b *testing.B) {
			h := NewHot(HotConfig{Keys: MaxKeys, Every: every})
			names := make([]string, 1<<16)
			z := rand.NewZipf(rand.New(rand.NewPCG(1, 2)), 1.01, 1, 99_999)
			for i := range names {
				names[i] = fmt.Sprintf("user:%08d", z.Uint64())
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				h.Touch(names[i&(len(names)-1)], 1000)
				i++
			}
		})
	}
}
