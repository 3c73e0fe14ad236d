// Package firstd decides how one stripe is read: whom to ask, when to hedge, when it is enough. It is pure: what arrived and
// the time go in, columns to ask and to cancel come out.
//
//	Start ──▶ ask the columns that are wanted, or others in the place of those whose lenders are known to be slow or gone
//	  │ Arrived ─────▶ all that are wanted, or any d, are there: done. The rest is cancelled
//	  │ Failed ──────▶ ask another at once
//	  └ At(Wake) ────▶ what is out for too long is hedged: ask another beside it
//
// "Too long" is learnt: see Learnt. Asking all d+p at once, as InfiniCache does (Wang et al., FAST 2020, §3.3), costs p/d
// more of everybody's bandwidth on each read and lets parity come before data, which then has to be computed; a hedge costs
// that only when it is needed.
package firstd

import (
	"slices"
	"time"
)

// Column is what is known of one column of the stripe.
type Column struct {
	Bytes  int // 0: it is known without asking, because it is all filling
	Absent bool
	// Slow lenders are asked last: not at first, as long as there are others, but as a hedge.
	Slow bool
	// Expect is how long an answer takes as a rule; 0 where that is not known.
	Expect time.Duration
}

type state uint8

const (
	idle state = iota
	asked
	arrived
	failed
)

// Plan of one stripe. Not safe for concurrent use.
type Plan struct {
	data   int
	first  int
	beyond int
	cols   []Column
	state  []state
	order  []int // in which columns are asked
	begun  time.Time
	hedge  time.Duration
	next   time.Time // of the next hedge; zero: none
	here   int       // columns that are known, empty ones among them
}

// New plans to read the data columns from first up to beyond of a stripe of data columns and, after them, parity columns.
// hedge is after how long an answer is late.
func New(data, first, beyond int, cols []Column, hedge time.Duration) *Plan {
	p := &Plan{data: data, first: first, beyond: beyond, cols: cols, state: make([]state, len(cols)), hedge: max(hedge, time.Millisecond)}
	for i, c := range cols {
		switch {
		case c.Bytes == 0:
			p.state[i] = arrived
			p.here++
		case c.Absent:
			p.state[i] = failed
		}
	}
	// Wanted columns first, then data before parity; those with slow lenders after all others, the fastest first.
	for i := range cols {
		p.order = append(p.order, i)
	}
	rank := func(i int) int {
		switch {
		case cols[i].Slow:
			return 3
		case i >= first && i < beyond:
			return 0
		case i < data:
			return 1
		}
		return 2
	}
	slices.SortStableFunc(p.order, func(a, b int) int {
		if ra, rb := rank(a), rank(b); ra != rb || ra < 3 {
			return ra - rb
		}
		return int(cols[a].Expect - cols[b].Expect)
	})
	return p
}

// Start gives the columns to ask first.
func (p *Plan) Start(now time.Time) []int {
	p.begun = now
	ask := p.ask(0)
	p.schedule(now)
	return ask
}

// Arrived says that a column is here and good.
func (p *Plan) Arrived(column int) {
	if p.state[column] == asked {
		p.state[column] = arrived
		p.here++
	}
}

// Failed says that a column will not come from its lender, and gives what to ask in its place.
func (p *Plan) Failed(column int, now time.Time) []int {
	if p.state[column] == asked {
		p.state[column] = failed
	}
	if p.Done() {
		return nil
	}
	ask := p.ask(0)
	if len(ask) > 0 {
		p.schedule(now)
	}
	return ask
}

// Wake is when to call At; zero where nothing is waited for.
func (p *Plan) Wake() time.Time { return p.next }

// At gives what to ask because answers are late: one more column for each that is out.
func (p *Plan) At(now time.Time) []int {
	if p.next.IsZero() || now.Before(p.next) || p.Done() {
		return nil
	}
	out := 0
	for _, s := range p.state {
		if s == asked {
			out++
		}
	}
	ask := p.ask(out)
	p.schedule(now)
	return ask
}

// ask gives the next columns: so many that the stripe can be had from what is here, what is out apart from those that are
// late, and these.
func (p *Plan) ask(late int) (ask []int) {
	out := 0
	direct := true // all that are wanted are here or on their way
	for i, s := range p.state {
		if s == asked {
			out++
		}
		if i >= p.first && i < p.beyond && (s == failed || s == idle && p.cols[i].Slow) {
			direct = false
		}
	}
	if direct && late == 0 {
		for i := p.first; i < p.beyond; i++ {
			if p.state[i] == idle {
				p.state[i] = asked
				ask = append(ask, i)
			}
		}
		return ask
	}
	missing := p.data - p.here - max(out-late, 0)
	for _, i := range p.order {
		if missing <= 0 {
			break
		}
		if p.state[i] == idle {
			p.state[i] = asked
			ask = append(ask, i)
			missing--
		}
	}
	return ask
}

// schedule sets when to hedge next, while there is anybody left to ask.
func (p *Plan) schedule(now time.Time) {
	p.next = time.Time{}
	if slices.Contains(p.state, idle) {
		p.next = now.Add(p.hedge)
	}
}

// Direct reports whether all wanted columns are here: nothing is to be computed.
func (p *Plan) Direct() bool {
	for i := p.first; i < p.beyond; i++ {
		if p.state[i] != arrived {
			return false
		}
	}
	return true
}

// Done reports whether the stripe's wanted columns can be had.
func (p *Plan) Done() bool { return p.here >= p.data || p.Direct() }

// Stuck reports whether they cannot, whatever still arrives.
func (p *Plan) Stuck() bool {
	if p.Done() {
		return false
	}
	possible := p.here
	for _, s := range p.state {
		if s == idle || s == asked {
			possible++
		}
	}
	direct := true
	for i := p.first; i < p.beyond; i++ {
		if p.state[i] == failed {
			direct = false
		}
	}
	return possible < p.data && !direct
}

// Out are the columns that are asked and not here: to be cancelled once the plan is done.
func (p *Plan) Out() (out []int) {
	for i, s := range p.state {
		if s == asked {
			out = append(out, i)
		}
	}
	return out
}

// Here reports whether a column is here.
func (p *Plan) Here(column int) bool { return p.state[column] == arrived }
