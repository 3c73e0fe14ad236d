package reuse

import (
	"container/list"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

// mix gives a key's hash, as well mixed as a cache's (SplitMix64).
func mix(k uint64) uint64 {
	k += 0x9e3779b97f4a7c15
	k = (k ^ k>>30) * 0xbf58476d1ce4e5b9
	k = (k ^ k>>27) * 0x94d049bb133111eb
	return k ^ k>>31
}

// lru is what a sketch predicts: the real thing, of one size.
type lru struct {
	room int64
	at   map[uint64]*list.Element
	by   list.List
	hits int
}

func newLRU(bytes int64) *lru { return &lru{room: bytes, at: map[uint64]*list.Element{}} }

func (l *lru) touch(x access) {
	if e := l.at[x.key]; e != nil {
		l.by.MoveToFront(e)
		l.hits++
		return
	}
	l.at[x.key] = l.by.PushFront(x)
	for l.room -= x.bytes; l.room < 0; {
		last := l.by.Remove(l.by.Back()).(access)
		delete(l.at, last.key)
		l.room += last.bytes
	}
}

type access struct {
	key   uint64
	bytes int64
}

// sizeOf a key: log-uniform from 100 bytes to 100 KiB, or one size for all.
func sizeOf(key, seed uint64, vary bool) int64 {
	if !vary {
		return 1024
	}
	return int64(100 * math.Pow(1000, float64(mix(key^seed+1)>>11)/(1<<53)))
}

// traces are the patterns of access that caches meet.
var traces = map[string]func(rng *rand.Rand, n int) []uint64{
	"zipf": func(rng *rand.Rand, n int) []uint64 {
		z := rand.NewZipf(rng, 1.01, 1, 99_999)
		out := make([]uint64, n)
		for i := range out {
			out[i] = z.Uint64()
		}
		return out
	},
	"loop": func(_ *rand.Rand, n int) []uint64 {
		out := make([]uint64, n)
		for i := range out {
			out[i] = uint64(i % 15_000)
		}
		return out
	},
	"scans": func(rng *rand.Rand, n int) []uint64 { // a working set, with scans of keys that never come again
		z := rand.NewZipf(rng, 1.2, 20, 19_999)
		out, next := make([]uint64, n), uint64(1<<32)
		for i := range out {
			if i/2_000%4 == 3 {
				out[i] = next
				next++
			} else {
				out[i] = z.Uint64()
			}
		}
		return out
	},
	"two loops": func(rng *rand.Rand, n int) []uint64 { // two cliffs
		out := make([]uint64, n)
		a, b := uint64(0), uint64(0)
		for i := range out {
			if rng.IntN(3) > 0 {
				out[i], a = a%3_000, a+1
			} else {
				out[i], b = 1<<32+b%7_500, b+1
			}
		}
		return out
	},
	"uniform": func(rng *rand.Rand, n int) []uint64 {
		out := make([]uint64, n)
		for i := range out {
			out[i] = rng.Uint64N(20_000)
		}
		return out
	},
}

// TestCurveMatchesLRU holds the sketch's curve against LRU caches of several sizes that see the same accesses.
func TestCurveMatchesLRU(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	n := 60_000
	for name, trace := range traces {
		for _, vary := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, sizes vary %t", name, vary), func(t *testing.T) {
				keys := trace(rand.New(rand.NewPCG(seed, 1)), n)
				all := map[uint64]int64{}
				accesses := make([]access, n)
				var total int64
				for i, k := range keys {
					b := sizeOf(k, seed, vary)
					if all[k] == 0 {
						total += b
					}
					all[k] = b
					accesses[i] = access{k, b}
				}
				var caches []*lru
				for _, part := range []float64{0.02, 0.06, 0.2, 0.5, 0.75, 1.1} {
					caches = append(caches, newLRU(int64(part*float64(total))))
				}
				size := make([]int64, len(caches))
				for i, c := range caches {
					size[i] = c.room
				}
				touches := uint64(0)
				s := NewSketch(Config{Burst: n + 1, Accesses: func() uint64 { return touches }})
				for _, x := range accesses {
					touches++
					s.Touch(mix(x.key^seed), x.bytes)
					for _, c := range caches {
						c.touch(x)
					}
				}
				if st := s.Stats(); st.Keys > DefaultKeys || len(all) > 2*DefaultKeys && st.Rate > 0.5 {
					t.Fatalf("%+v of %d keys", st, len(all))
				}
				curve, mean := s.Curve(), 0.0
				for i, c := range caches {
					want, got := float64(c.hits)/float64(n), curve.HitRatio(size[i])
					mean += math.Abs(got-want) / float64(len(caches))
					t.Logf("%9d bytes: %.3f, is %.3f", size[i], got, want)
				}
				// The sample is some 3,000 keys, the sizes differ by three orders of magnitude, and the hash is another one
				// in each run.
				t.Logf("mean error %.3f", mean)
				if mean > 0.05 {
					t.Fatalf("the mean error is %.3f (rate %g)", mean, s.Stats().Rate)
				}
			})
		}
	}
}

// TestFollowsChange: what an application did before fades, and the sample is as dense as it was once few keys are left.
func TestFollowsChange(t *testing.T) {
	s := NewSketch(Config{Keys: 256})
	rng := rand.New(rand.NewPCG(1, 2))
	epoch := func(keys, first uint64) {
		for range 20_000 {
			s.Touch(mix(first+rng.Uint64N(keys)), 1000)
		}
		s.Advance()
	}
	for range 4 {
		epoch(20_000, 0)
	}
	if r := s.Stats().Rate; r > 1./32 {
		t.Fatalf("%g of 20,000 keys are sampled for 256", r)
	}
	if got := s.Curve().HitRatio(100 * 1000); got > 0.05 {
		t.Fatalf("a cache of 100 of 20,000 keys would hit %.2f", got)
	}
	for range 2 * keepEpochs {
		epoch(100, 1<<32)
	}
	if st := s.Stats(); st.Rate != 1 || st.Keys != 100 {
		t.Fatalf("%+v after the change to 100 keys", st)
	}
	if got := s.Curve().HitRatio(100 * 1000); got < 0.97 {
		t.Fatalf("a cache of all keys would hit %.2f", got)
	}
	// And it thins out again, as it should.
	for range 4 {
		epoch(20_000, 0)
	}
	if got := s.Curve().HitRatio(100 * 1000); got > 0.15 {
		t.Fatalf("a cache of 100 of 20,000 keys would hit %.2f", got)
	}
}

// TestMaxBytes: what lies deeper than anybody would cache is not tracked, so that endless scans do not thin out the sample.
func TestMaxBytes(t *testing.T) {
	s := NewSketch(Config{Keys: 512, MaxBytes: 400 * 1000})
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range uint64(200_000) {
		if i%2 == 0 {
			s.Touch(mix(rng.Uint64N(100)), 1000)
		} else {
			s.Touch(mix(1<<32+i), 1000)
		}
	}
	if st := s.Stats(); st.Rate != 1 || st.Keys > 402 {
		t.Fatalf("%+v", st)
	}
	if got := s.Curve().HitRatio(400 * 1000); math.Abs(got-0.5) > 0.05 {
		t.Fatalf("hits %.2f, want about 0.5", got)
	}
	s.Touch(0, 500*1000) // larger than any cache
	if st := s.Stats(); st.Keys > 402 {
		t.Fatalf("%+v", st)
	}
}

// TestBurst: after its burst a sketch looks away until the next epoch, and the curve is as good as before.
func TestBurst(t *testing.T) {
	touches := uint64(0)
	s := NewSketch(Config{Burst: 5_000, Accesses: func() uint64 { return touches }})
	rng := rand.New(rand.NewPCG(1, 2))
	for range 6 {
		for range 50_000 {
			touches++
			s.Touch(mix(rng.Uint64N(1000)), 1000)
		}
		if s.threshold.Load() != 0 {
			t.Fatal("it still looks")
		}
		s.Advance()
	}
	c := s.Curve()
	for _, part := range []float64{0.25, 0.5, 0.75, 1} {
		if got := c.HitRatio(int64(part * 1000 * 1000)); math.Abs(got-part) > 0.04 {
			t.Fatalf("a cache of %g of the keys would hit %.3f", part, got)
		}
	}
	if c.Accesses() < 4_900 || c.Accesses() > 5_100 {
		t.Fatalf("the curve stands on %g accesses", c.Accesses())
	}
}

// TestCurveIsMonotone for whatever a sketch was told.
func TestCurveIsMonotone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		told := rapid.Uint64Range(0, 1000).Draw(t, "told")
		touches := uint64(0)
		cfg := Config{Keys: 64, MaxBytes: rapid.Int64Range(0, 1<<20).Draw(t, "max"), Burst: rapid.IntRange(0, 300).Draw(t, "burst")}
		if told > 0 {
			cfg.Accesses = func() uint64 { return touches * told / 500 } // also a wrong number
		}
		s := NewSketch(cfg)
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		keys := rapid.Uint64Range(1, 500).Draw(t, "keys")
		for range rapid.IntRange(0, 5).Draw(t, "epochs") {
			for range rapid.IntRange(0, 500).Draw(t, "touches") {
				touches++
				s.Touch(mix(rng.Uint64N(keys)), rng.Int64N(1<<rng.IntN(40)+1)-1)
			}
			s.Advance()
		}
		c := s.Curve()
		last := Point{}
		for _, p := range c.Points() {
			if p.Bytes < last.Bytes || p.Hits < last.Hits || p.Hits > 1 || math.IsNaN(p.Hits) {
				t.Fatalf("%v after %v", p, last)
			}
			last = p
		}
		if got := c.HitRatio(math.MaxInt64); got != last.Hits || c.HitRatio(-1) != 0 || c.HitRatio(c.Enough()) != last.Hits {
			t.Fatalf("%g at the end, the last point is %v", got, last)
		}
		if s.Stats().Keys > 64 {
			t.Fatalf("%+v", s.Stats())
		}
	})
}

func TestSketchConcurrently(t *testing.T) {
	s := NewSketch(Config{Keys: 128, Burst: 3000})
	var wg sync.WaitGroup
	for w := range uint64(4) {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(w, 0))
			for range 20_000 {
				s.Touch(mix(rng.Uint64N(1000)), 100)
			}
		})
	}
	for range 20 {
		s.Advance()
		if h := s.Curve().HitRatio(1 << 30); h < 0 || h > 1 {
			t.Errorf("hits %g", h)
		}
	}
	wg.Wait()
}

func BenchmarkTouchUnsampled(b *testing.B) {
	s := NewSketch(Config{})
	s.threshold.Store(1)
	for b.Loop() {
		s.Touch(mix(3), 100)
	}
}

// BenchmarkTouchSampled: each touch is sampled, of 4,000 keys.
func BenchmarkTouchSampled(b *testing.B) {
	s := NewSketch(Config{Burst: math.MaxInt})
	hashes := make([]uint64, 1<<16)
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range hashes {
		hashes[i] = mix(rng.Uint64N(4000))
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		s.Touch(hashes[i&(len(hashes)-1)], 100)
		i++
	}
}

func BenchmarkTouchZipf(b *testing.B) {
	s := NewSketch(Config{Burst: math.MaxInt})
	hashes := make([]uint64, 1<<20)
	z := rand.NewZipf(rand.New(rand.NewPCG(1, 2)), 1.01, 1, 999_999)
	for i := range hashes {
		hashes[i] = mix(z.Uint64())
		s.Touch(hashes[i], 100)
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		s.Touch(hashes[i&(len(hashes)-1)], 100)
		i++
	}
}
