package cache

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

// TestHistory lets readers and writers at a small cache, some behind its back, and holds each answer against what its
// reader may see: nothing older than what a Put here had returned, or a Get here had given, before it began.
func TestHistory(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	s := newStage(t)
	c := startWith(t, Config{Store: s, MaxBytes: MinMaxBytes, CheckEvery: 50 * time.Millisecond})
	const keys, workers, steps = 600, 8, 3000
	var floor [keys]atomic.Uint64 // highest revision that is known to have been given out for a key
	raise := func(k int, r kvs.Revision) {
		for {
			old := floor[k].Load()
			if old >= uint64(r) || floor[k].CompareAndSwap(old, uint64(r)) {
				return
			}
		}
	}
	name := func(k int) kvs.Key { return kvs.Key(fmt.Sprint("key ", k)) }
	payload := func(rng *rand.Rand, k int) value.Value {
		b := make([]byte, 1+rng.IntN(1<<(6+k%12)))
		b[len(b)-1] = byte(k)
		return value.MustOf(b)
	}
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(seed, uint64(w)))
			for range steps {
				k := int(float64(keys) * rng.Float64() * rng.Float64())
				switch p := rng.IntN(100); {
				case p < 80:
					was := floor[k].Load()
					e, err := c.Entry(t.Context(), name(k))
					switch {
					case fault.Is(err, fault.NotFound), err == nil && e.Revision == 0:
						// Nothing to compare: not there, or not stored yet.
					case err != nil:
						t.Error(err)
						return
					case uint64(e.Revision) < was:
						t.Errorf("%s: revision %d after %d", name(k), e.Revision, was)
						return
					default:
						if b, err := value.As[[]byte](e.Value); err != nil || b[len(b)-1] != byte(k) || e.Key != name(k) {
							t.Errorf("%s holds the value of %q (%v)", name(k), e.Key, err)
							return
						}
						raise(k, e.Revision)
					}
				case p < 90:
					ack := kvs.Stored
					if p < 85 {
						ack = kvs.Cached
					}
					r, err := c.Main().PutWith(t.Context(), name(k), payload(rng, k), kvs.PutOptions{}, ack)
					if err != nil {
						t.Error(err)
						return
					}
					raise(k, r)
				case p < 98: // another node
					if _, err := s.Put(t.Context(), name(k), payload(rng, k), kvs.PutOptions{}); err != nil {
						t.Error(err)
						return
					}
				case p < 99:
					if err := c.Delete(t.Context(), name(k)); err != nil {
						t.Error(err)
						return
					}
				default:
					if err := s.Delete(t.Context(), name(k), 0); err != nil {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	wg.Wait()
	must(t, c.Flush(t.Context()))
	until(t, "all pushes arrive", func() bool {
		for k := range keys {
			want, err := s.Memory.Get(t.Context(), name(k))
			e, err2 := c.Entry(t.Context(), name(k))
			if fault.CodeOf(err) != fault.CodeOf(err2) || e.Revision != want.Revision {
				return false
			}
		}
		return true
	})
	c.inspectQuiet(t)
	if b := c.bytes.Load(); b > c.limits.hard {
		t.Fatalf("%d bytes held of %d", b, c.limits.hard)
	}
	t.Logf("%+v", c.Stats())
}
