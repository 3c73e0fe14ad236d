package reuse

import (
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"
)

const mib = 1 << 20

// process is a model of a Go process: a heap that doubles between collections, caches that fill up to their budget, and
// memory that is not on the heap.
type process struct {
	now     time.Time
	limit   int64
	other   int64 // live on the heap beside the caches
	outside int64
	cached  int64
	want    int64 // what the caches would hold if they might
	live    int64 // by the last collection
	heap    int64
	cycles  uint64
}

// step lets a second pass: garbage is made, caches fill, and the collector comes at its goal.
func (p *process) step(budget, garbage int64) {
	p.now = p.now.Add(time.Second)
	if p.cached > budget {
		p.cached = budget // at once; it is garbage until the next collection
	}
	fill := min(max(min(budget, p.want)-p.cached, 0), 64*mib)
	p.cached += fill
	p.heap += fill + garbage
	if p.heap >= p.goal() {
		p.collect()
	}
}

// turn lets the rest of the process hold other bytes on the heap and outside bytes beside it.
func (p *process) turn(other, outside int64) {
	p.heap += max(other-p.other, 0)
	p.other, p.outside = other, outside
}

func (p *process) collect() {
	p.live = p.cached + p.other
	p.heap = p.live
	p.cycles++
}

func (p *process) goal() int64 { return 2 * p.live }

func (p *process) memory() Memory {
	return Memory{Limit: p.limit, InUse: p.heap + p.outside, Heap: p.heap, Live: p.live, Goal: p.goal(), Cached: p.cached, Collections: p.cycles}
}

// TestPressure: memory is ample, then another part of the process takes much, then gives it back.
func TestPressure(t *testing.T) {
	p := &process{limit: 4096 * mib, other: 100 * mib, outside: 200 * mib, want: 1 << 40}
	p.collect()
	pr := NewPressure(PressureConfig{Max: 1024 * mib, Min: 64 * mib, Reserve: 256 * mib})
	run := func(seconds int) (least int64) {
		least = pr.Now()
		for range seconds {
			before := pr.Now()
			budget := pr.Budget(p.now, p.memory())
			if budget > before+before/10+1024*mib/100 {
				t.Fatalf("from %d to %d MiB in one step", before/mib, budget/mib)
			}
			least = min(least, budget)
			p.step(budget, 30*mib)
			if in := p.heap + p.outside; in > p.limit {
				t.Fatalf("%d MiB in use", in/mib)
			}
		}
		return least
	}
	if least := run(120); least != 1024*mib || p.cached != 1024*mib {
		t.Fatalf("down to %d MiB, %d held, although there is room", least/mib, p.cached/mib)
	}
	p.outside += 2000 * mib
	p.outside -= 600 * mib // what is gone at once is more than was free: 4096 - 256 - 1600 leaves 2240 for the heap
	budget := pr.Budget(p.now, p.memory())
	if budget > 1024*mib || budget < 900*mib {
		t.Fatalf("%d MiB", budget/mib)
	}
	p.outside += 600 * mib // and now 1640, of which live is half, and the caches 720
	budget = pr.Budget(p.now, p.memory())
	if budget > 725*mib || budget < 700*mib {
		t.Fatalf("%d MiB, want about 720 at once", budget/mib)
	}
	if again := pr.Budget(p.now, p.memory()); again != budget {
		t.Fatalf("%d, then %d MiB: what is not collected yet is taken twice", budget/mib, again/mib)
	}
	// The process itself is not bound by the model's limit while its garbage waits; from here on it has to be.
	p.cached = budget
	p.collect()
	if least := run(300); least < 650*mib {
		t.Fatalf("down to %d MiB, although 720 fit", least/mib)
	}
	p.outside -= 2000 * mib
	began := p.now
	for pr.Now() < 1024*mib {
		run(1)
		if p.now.Sub(began) > 5*time.Minute {
			t.Fatalf("%d MiB after five minutes", pr.Now()/mib)
		}
	}
	if took := p.now.Sub(began); took < 15*time.Second {
		t.Fatalf("back at once, in %v", took)
	}
}

// TestPressureSurvives whatever a process does: the budget stays within its bounds, falls to what fits, and neither
// swings while nothing changes nor stays down for good.
func TestPressureSurvives(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		p := &process{limit: 2048 * mib, other: rng.Int64N(200 * mib), outside: rng.Int64N(200 * mib), want: rng.Int64N(2048 * mib)}
		p.collect()
		pr := NewPressure(PressureConfig{Max: 1024 * mib, Min: 32 * mib, Reserve: 128 * mib})
		for range 5 {
			p.turn(rng.Int64N(600*mib), rng.Int64N(800*mib))
			garbage := 20*mib + rng.Int64N(100*mib)
			for range 200 {
				b := pr.Budget(p.now, p.memory())
				if b < 32*mib || b > 1024*mib {
					t.Fatalf("%d MiB", b/mib)
				}
				p.step(b, garbage)
			}
			// Settled: with what it has now, the process stays within its limit, if it can at all.
			if fits := (p.limit-128*mib-p.outside)/2 - p.other; pr.Now() > max(fits, 32*mib)+64*mib && p.cached > max(fits, 32*mib)+64*mib {
				t.Fatalf("%d MiB held of %d, %d fit", p.cached/mib, pr.Now()/mib, fits/mib)
			}
			high, low := pr.Now(), pr.Now()
			for range 100 {
				b := pr.Budget(p.now, p.memory())
				p.step(b, garbage)
				high, low = max(high, b), min(low, b)
			}
			if low < high*8/10 && pr.Now() < high*8/10 {
				t.Fatalf("from %d to %d MiB although nothing changes", high/mib, low/mib)
			}
		}
		p.turn(0, 0)
		for range 400 {
			p.step(pr.Budget(p.now, p.memory()), 10*mib)
		}
		if pr.Now() < 850*mib {
			t.Fatalf("%d MiB after memory was ample for minutes", pr.Now()/mib)
		}
	})
}
