package reuse

import "time"

// Defaults of PressureConfig.
const (
	DefaultGrowth = 0.10
	DefaultEvery  = 5 * time.Second
)

// PressureConfig of a Pressure.
type PressureConfig struct {
	Max     int64         // the caches' budget where memory is ample. Required
	Min     int64         // and where it is short, however short
	Reserve int64         // bytes of the limit that stay free
	Growth  float64       // share by which the budget grows at most in one step; 0 means DefaultGrowth
	Every   time.Duration // from one change to the next step up; 0 means DefaultEvery
}

// Memory is how much memory a process has and takes at one moment, in bytes.
type Memory struct {
	Limit  int64 // what it may take: the least of the machine's, its cgroup's and its own limit
	InUse  int64 // what it takes, garbage and all
	Heap   int64 // of InUse, Go's heap with its garbage
	Live   int64 // of Heap, what the last collection left
	Goal   int64 // the size of the heap at which the next collection will have ended
	Cached int64 // of Heap, what the caches hold
	// Collections is how many there were since the process began: what a cache drops is free only after the next one.
	Collections uint64
}

// Pressure says how much the caches of a node may hold together. It gives memory back at once when the process comes
// near its limit, and takes it back slowly, so that it does not swing. It does what it is told the time is: nothing
// happens between calls. Not safe for concurrent use.
//
//	   ┌── room for more, for a while: one step up ──┐
//	budget ◀──────────────────────────────────────────┘
//	   └── the process would pass limit - reserve before a collection is through: down to what fits, now
type Pressure struct {
	cfg     PressureConfig
	budget  int64
	changed time.Time

	dropped     int64 // by the last step down, what was not yet garbage collected when it was made
	collections uint64
}

// NewPressure makes a Pressure whose budget is Max until it hears of shortage.
func NewPressure(cfg PressureConfig) *Pressure {
	cfg.Max = max(cfg.Max, 0)
	cfg.Min = min(max(cfg.Min, 0), cfg.Max)
	cfg.Reserve = max(cfg.Reserve, 0)
	if cfg.Growth <= 0 {
		cfg.Growth = DefaultGrowth
	}
	if cfg.Every <= 0 {
		cfg.Every = DefaultEvery
	}
	return &Pressure{cfg: cfg, budget: cfg.Max}
}

// Budget is what the caches may hold from now on.
func (p *Pressure) Budget(now time.Time, m Memory) int64 {
	room := p.room(m)
	fits := min(max(p.budget+room, p.cfg.Min), p.cfg.Max)
	switch {
	case fits < p.budget:
		// While garbage is not collected, what is dropped now adds to what was dropped before.
		if m.Collections != p.collections {
			p.dropped, p.collections = 0, m.Collections
		}
		p.dropped += max(min(p.budget, m.Cached)-fits, 0)
		p.budget, p.changed = fits, now
	case now.Sub(p.changed) >= p.cfg.Every && p.budget < p.cfg.Max:
		step := max(int64(p.cfg.Growth*float64(p.budget)), p.cfg.Max/100)
		// Half the room: others grow too, and the next step comes soon.
		if next := min(p.budget+step, p.budget+room/2, p.cfg.Max); next > p.budget {
			p.budget, p.changed = next, now
		}
	}
	return p.budget
}

// Now is the budget that Budget gave last.
func (p *Pressure) Now() int64 { return p.budget }

// room is how much the budget may grow, or has to shrink where it is negative, for the process to stay within its limit.
func (p *Pressure) room(m Memory) int64 {
	// The heap grows to its goal before anything is collected. Each live byte takes goal/live bytes then.
	heap, each := max(m.Heap, m.Goal), 1.0
	if m.Live > 0 && m.Goal > m.Live {
		each = min(float64(m.Goal)/float64(m.Live), 4)
	}
	peak := float64(m.InUse - m.Heap + heap)
	if m.Collections == p.collections {
		peak -= float64(p.dropped) * each
	}
	// What the caches may still take is not in use yet; what they hold above the budget is about to go.
	unused := max(p.budget-m.Cached, 0)
	return int64((float64(m.Limit-p.cfg.Reserve)-peak)/each) - unused
}
