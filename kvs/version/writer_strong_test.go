package version_test

import (
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/kvs/version"
	"github.com/squall-faas/squall/value"
)

// registerStep is a read or write of a register that begins with 0; a write's answer is not looked at.
type registerStep struct {
	write bool
	n     int
}

var register = porcupine.Model{
	Init: func() any { return 0 },
	Step: func(state, in, out any) (bool, any) {
		if step := in.(registerStep); step.write {
			return true, step.n
		}
		return out == state, state
	},
}

// Strong reads and writes of two Writers are linearizable while requests and answers are lost.
func TestWriterStrong(t *testing.T) {
	for seed := range uint64(10) {
		s := newStage(t)
		s.faulty(0.25, 0.15, seed)
		ws := []*version.Writer{newWriter(t, s), newWriter(t, s, off(2, -200*time.Millisecond))}
		var mu sync.Mutex
		var ops []porcupine.Operation
		begin := time.Now()
		const clients, each = 6, 20
		atOnce(clients, func(i int) {
			rng := rand.New(rand.NewPCG(seed, uint64(i)))
			w := ws[i%2]
			for n := range each {
				in, out := registerStep{rng.IntN(2) == 0, 1 + i*each + n}, 0
				x := porcupine.Operation{ClientId: i, Call: time.Since(begin).Nanoseconds()}
				var err error
				if in.write {
					_, err = w.Put(t.Context(), "k", value.MustOf(in.n), version.WriteOptions{Level: kvs.Strong})
				} else {
					var v *version.Version
					if v, err = w.Get(t.Context(), "k", kvs.Strong); err == nil {
						out, err = value.As[int](v.Value)
					} else if fault.Is(err, fault.NotFound) {
						err = nil
					}
				}
				x.Input, x.Output, x.Return = in, out, time.Since(begin).Nanoseconds()
				if err != nil {
					if !in.write || !fault.Is(err, fault.Unavailable) {
						t.Error(err)
					}
					x.Return = math.MaxInt64 // it may take effect at any time after, or never
				}
				mu.Lock()
				ops = append(ops, x)
				mu.Unlock()
			}
		})
		if got := porcupine.CheckOperationsTimeout(register, ops, 20*time.Second); got != porcupine.Ok {
			t.Errorf("seed %d: %d operations are %s", seed, len(ops), got)
		}
	}
}
