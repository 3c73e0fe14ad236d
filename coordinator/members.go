package coordinator

import (
	"cmp"
	"slices"
	"time"

	"github.com/squall-faas/squall/executor/runtime"
	"github.com/squall-faas/squall/internal/wire"
)

// members is who lives, by heartbeat. Pure: the caller brings the time, and does what the changes say.
//
//	            heartbeat                  silence > suspect            silence > dead, or nobody at its inbox
//	(unknown) ───────────▶ up / draining ─────────────────▶ suspect ──────────────────────────────────────────▶ lost
//	                             ▲                             │ heartbeat, or an answer to the probe
//	                             └─────────────────────────────┘
type members struct {
	suspect, dead time.Duration
	ticked        time.Time // the last tick
	byName        map[string]*member
	order         []*member         // of byName, by name; nil when it has changed
	over          map[string]uint64 // highest incarnation that was lost or has left, by name
}

// member is one executor.
type member struct {
	beat     wire.Heartbeat
	seen     time.Time
	suspect  bool
	assigned int // sites of open runs placed here by this coordinator
	natives  map[string]bool
	kinds    map[runtime.Kind]bool
}

// change is what the shell has to do.
type change struct {
	kind changeKind
	peer wire.Peer
}

type changeKind uint8

const (
	joined changeKind = iota + 1 // a new incarnation is here: place what waits
	probe                        // ask it whether it lives
	lost                         // it died: give its work to others
	left                         // it said goodbye: give its work to others, and blame nobody
	fence                        // tell it that this incarnation, and every earlier one, was declared dead
)

func newMembers(suspect, dead time.Duration) *members {
	return &members{suspect: suspect, dead: dead, byName: map[string]*member{}, over: map[string]uint64{}}
}

// heartbeat takes in an executor's announcement.
func (s *members) heartbeat(now time.Time, hb wire.Heartbeat) []change {
	name := hb.From.Name
	if over := s.over[name]; hb.From.Incarnation <= over {
		if hb.Condition == wire.Left {
			return nil
		}
		// Its clock may be behind that of its earlier life: it has to come back as a later one than any before.
		return []change{{fence, wire.Peer{Name: name, Incarnation: over}}}
	}
	var out []change
	m := s.byName[name]
	if m != nil && m.beat.From.Incarnation < hb.From.Incarnation {
		out = append(out, s.lose(m.beat.From)...) // it came back as another: the earlier one is over
		m = nil
	}
	if m != nil && m.beat.From.Incarnation > hb.From.Incarnation {
		return append(out, change{fence, hb.From})
	}
	if hb.Condition == wire.Left {
		return append(out, s.end(hb.From, left)...)
	}
	isNew := m == nil
	if isNew {
		m = &member{}
		s.byName[name], s.order = m, nil
	}
	changed := isNew || len(m.beat.Natives) != len(hb.Natives) || m.beat.Condition != hb.Condition
	m.beat, m.seen, m.suspect = hb, now, false
	m.natives = map[string]bool{}
	for _, f := range hb.Natives {
		m.natives[f.Version] = true
	}
	m.kinds = map[runtime.Kind]bool{}
	for _, k := range hb.Kinds {
		m.kinds[k] = true
	}
	if changed {
		out = append(out, change{joined, hb.From})
	}
	return out
}

// alive takes in the answer to a probe.
func (s *members) alive(now time.Time, p wire.Peer) {
	if m := s.byName[p.Name]; m != nil && m.beat.From == p {
		m.seen, m.suspect = now, false
	}
}

// excuse forgives the silence so far: this coordinator was cut off, or all of them were.
func (s *members) excuse(now time.Time) {
	for _, m := range s.byName {
		if m.seen.Before(now.Add(-s.suspect)) {
			m.seen = now.Add(-s.suspect) // suspect still, but not dead
		}
	}
}

// tick finds who is silent. A tick that comes late means that this process has stalled, or its host: what it did not
// hear meanwhile is not the executors' silence.
func (s *members) tick(now time.Time) []change {
	if stalled := now.Sub(s.ticked) - s.suspect; !s.ticked.IsZero() && stalled > 0 {
		for _, m := range s.byName {
			m.seen = m.seen.Add(stalled)
		}
	}
	s.ticked = now
	var out []change
	for _, m := range s.sorted() {
		switch silent := now.Sub(m.seen); {
		case silent >= s.dead:
			out = append(out, s.lose(m.beat.From)...)
		case silent >= s.suspect:
			m.suspect = true
			out = append(out, change{probe, m.beat.From})
		}
	}
	return out
}

// lose gives an incarnation up, and every earlier one with it.
func (s *members) lose(p wire.Peer) []change { return s.end(p, lost) }

func (s *members) end(p wire.Peer, how changeKind) []change {
	if p.Incarnation <= s.over[p.Name] {
		return nil
	}
	s.over[p.Name] = p.Incarnation
	m := s.byName[p.Name]
	if m == nil || m.beat.From.Incarnation > p.Incarnation {
		return nil
	}
	delete(s.byName, p.Name)
	s.order = nil
	return []change{{how, m.beat.From}}
}

// live reports whether this very incarnation is a member.
func (s *members) live(p wire.Peer) bool {
	m := s.byName[p.Name]
	return m != nil && m.beat.From == p
}

// assign counts sites of open runs.
func (s *members) assign(p wire.Peer, by int) {
	if m := s.byName[p.Name]; m != nil && m.beat.From == p {
		m.assigned += by
	}
}

// sorted gives the members in a stable order; do not write to it.
func (s *members) sorted() []*member {
	if s.order == nil {
		s.order = make([]*member, 0, len(s.byName))
		for _, m := range s.byName {
			s.order = append(s.order, m)
		}
		slices.SortFunc(s.order, func(a, b *member) int { return cmp.Compare(a.beat.From.Name, b.beat.From.Name) })
	}
	return s.order
}

// canRun reports whether the executor takes new work of this function.
func (m *member) canRun(f runtime.Spec) bool {
	if m.beat.Condition != wire.Up || m.suspect {
		return false
	}
	if f.Kind == runtime.Native {
		return m.natives[f.Version]
	}
	return m.kinds[f.Kind]
}

// load is how busy the executor is, in shares of its slots.
func (m *member) load() float64 {
	return float64(max(m.assigned, m.beat.Busy+m.beat.Queued)) / float64(max(m.beat.Slots, 1))
}
