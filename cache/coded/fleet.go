package coded

import (
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/squall-faas/squall/cache/coded/layout"
	"github.com/squall-faas/squall/cache/coded/placement"
	"github.com/squall-faas/squall/internal/wire"
)

// overdue is by what share of its interval a heartbeat may be late before its lender is suspected: one that vanished is
// noticed when the next one is due, give or take what a scheduler and a garbage collector may hold it up.
const overdue = 0.5

// forgetAfter so many intervals of silence a lender is forgotten.
const forgetAfter = 40

// fleet is which lenders are there, by their heartbeats. It is pure: the time comes in. Safe for concurrent use.
//
//	heard ──▶ up ── overdue ──▶ suspect ── asked, and does not answer ──▶ dead ── long silence ──▶ forgotten
//	           ▲────────────────────┴── heard, or answers ────────────────────┘        Left ─────────▲
//
// Readers ask suspects and the dead too, though last: what they have may be what is needed, and a heartbeat that was lost
// is no reason to miss. Nothing new goes to them, and what the dead hold is rebuilt.
type fleet struct {
	mu      sync.Mutex // guards what follows
	members map[string]*member
	gone    map[string]time.Time // ids that left, for a while: a late message does not bring them back
	bursts  layout.Bursts
}

type member struct {
	wire.Lender
	heard   time.Time
	suspect bool
	dead    bool
}

func (m *member) every() time.Duration { return time.Duration(m.Every) }

func (m *member) late(now time.Time) bool {
	return now.Sub(m.heard) > m.every()+time.Duration(overdue*float64(m.every()))
}

func newFleet() *fleet { return &fleet{members: map[string]*member{}, gone: map[string]time.Time{}} }

// rememberGone is how long an id that left is remembered. Ids are never used again.
const rememberGone = 10 * time.Minute

// hear takes in an announcement, and reports whether a member has left by it.
func (f *fleet) hear(l *wire.Lender, now time.Time) (left bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	m := f.members[l.ID]
	if l.Left {
		delete(f.members, l.ID)
		f.gone[l.ID] = now
		return m != nil
	}
	if _, left := f.gone[l.ID]; left {
		return false
	}
	if m == nil {
		m = &member{}
		f.members[l.ID] = m
	}
	*m = member{Lender: *l, heard: now}
	return false
}

// sweep gives lenders that have become suspects, and forgets those that were silent for long.
func (f *fleet) sweep(now time.Time) (suspects []wire.Lender) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for id, m := range f.members {
		switch {
		case now.Sub(m.heard) > forgetAfter*m.every():
			delete(f.members, id)
		case !m.suspect && m.late(now):
			m.suspect = true
			suspects = append(suspects, m.Lender)
		}
	}
	for id, at := range f.gone {
		if now.Sub(at) > rememberGone {
			delete(f.gone, id)
		}
	}
	slices.SortFunc(suspects, func(a, b wire.Lender) int { return strings.Compare(a.ID, b.ID) })
	return suspects
}

// asked says whether a suspect has answered. It reports whether it counts as dead now, which is so unless it was heard of
// meanwhile.
func (f *fleet) asked(id string, answered bool, now time.Time) (dead bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	m := f.members[id]
	if m == nil || !m.suspect {
		return false
	}
	if answered {
		m.suspect, m.dead, m.heard = false, false, now
		return false
	}
	there := 0
	for _, m := range f.members {
		if !m.dead {
			there++
		}
	}
	m.dead = true
	f.bursts.Lost(now, m.Host, there)
	return true
}

// shape is what the choice of a code looks at.
func (f *fleet) shape(now time.Time) layout.Fleet {
	takers := f.takers(now)
	f.mu.Lock()
	defer f.mu.Unlock()
	return layout.Fleet{Lenders: len(takers), Hosts: placement.Hosts(takers), Bursts: f.bursts.Rates(now, len(takers))}
}

// due is when sweep may have something to do; zero where nobody is there.
func (f *fleet) due() (at time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, m := range f.members {
		d := m.heard.Add(m.every() + time.Duration(overdue*float64(m.every())) + 1)
		if m.suspect {
			d = m.heard.Add(forgetAfter*m.every() + 1)
		}
		if at.IsZero() || d.Before(at) {
			at = d
		}
	}
	return at
}

// whereabouts of a lender.
type whereabouts struct {
	addr  string // "" where it is not known
	quiet bool   // suspect or dead
}

// find gives the whereabouts of several lenders.
func (f *fleet) find(ids []string, now time.Time) []whereabouts {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := make([]whereabouts, len(ids))
	for i, id := range ids {
		if m := f.members[id]; m != nil {
			out[i] = whereabouts{m.Port, m.dead || m.late(now)}
		}
	}
	return out
}

// addr of a lender, "" where it is not known.
func (f *fleet) addr(id string) string { return f.find([]string{id}, time.Time{})[0].addr }

// alive reports whether a lender is there: up, or suspect.
func (f *fleet) alive(id string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	m := f.members[id]
	return m != nil && !m.dead
}

// takers are the lenders that take new columns.
func (f *fleet) takers(now time.Time) (out []placement.Lender) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, m := range f.members {
		if !m.Draining && m.Lent > 0 && !m.dead && !m.late(now) {
			out = append(out, placement.Lender{Name: m.ID, Host: m.Host, Lent: m.Lent})
		}
	}
	return out
}

// all lenders that are there, by id.
func (f *fleet) all() (out []wire.Lender) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, m := range f.members {
		if !m.dead {
			out = append(out, m.Lender)
		}
	}
	slices.SortFunc(out, func(a, b wire.Lender) int { return strings.Compare(a.ID, b.ID) })
	return out
}
