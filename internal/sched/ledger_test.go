package sched

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestLedgerProperties holds a ledger to: whenever credits are granted, what all coordinators may send together with what is
// here fits the window; no credit is good twice; and whatever was taken back is refused.
func TestLedgerProperties(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var l Ledger
		work := 0
		sent := map[Peer]uint64{}
		peer := rapid.Custom(func(rt *rapid.T) Peer {
			return Peer{rapid.SampledFrom([]string{"a", "b", "c"}).Draw(rt, "name"), rapid.Uint64Range(1, 2).Draw(rt, "life")}
		})
		limit := func(p Peer) uint64 {
			for _, g := range l.Grants() {
				if g.To == p {
					return g.Limit
				}
			}
			return 0
		}
		rt.Repeat(map[string]func(*rapid.T){
			"claim": func(rt *rapid.T) { l.Claim(peer.Draw(rt, "peer")) },
			"grant": func(rt *rapid.T) {
				window := rapid.IntRange(0, 6).Draw(rt, "window")
				before := l.Unspent()
				l.Grant(window, work)
				if after := l.Unspent(); after > before && after+work > window {
					rt.Fatalf("%d may be sent and %d are here, in a window of %d", after, work, window)
				} else if after < before {
					rt.Fatalf("%d credits were lost", before-after)
				}
			},
			"revoke": func(*rapid.T) {
				if l.Revoke(); l.Unspent() != 0 {
					rt.Fatal("something may be spent still")
				}
			},
			"spend": func(rt *rapid.T) {
				p := peer.Draw(rt, "peer")
				most := limit(p)
				sent[p]++
				if ok := l.Spend(p, sent[p]); ok != (sent[p] <= most) {
					rt.Fatalf("credit %d of %d: %v", sent[p], most, ok)
				} else if ok {
					work++
				}
			},
			"done": func(*rapid.T) { work = max(0, work-1) },
			"": func(*rapid.T) {
				for _, g := range l.Grants() {
					if g.Limit < g.Spent {
						rt.Fatalf("%+v", g)
					}
				}
			},
		})
	})
}

// TestTakeOver has coordinators of one fleet, who know nothing of each other, take over from each other while messages are
// on the way and jobs run: no executor ever has more than its slots hold, what was sent with a credit of before is sent back,
// and each job runs once or is told to be lost with its owner.
func TestTakeOver(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		type executor struct {
			peer    Peer
			slots   int
			ledger  Ledger
			running []ID
		}
		type message struct {
			from   Peer
			to     int
			job    Job
			credit uint64
		}
		var executors []*executor
		for i := range rapid.IntRange(1, 3).Draw(rt, "executors") {
			executors = append(executors, &executor{peer: Peer{fmt.Sprint("e", i), 1}, slots: rapid.IntRange(1, 3).Draw(rt, "slots")})
		}
		schedulers := map[Peer]*Scheduler{}
		var alive []Peer
		now, number, ran, returned := epoch, 0, map[ID]int{}, 0
		var wire []message
		do := func(p Peer, cmds []Command, jobs map[ID]Job) {
			for _, c := range cmds {
				if c.Kind != Bind {
					continue
				}
				for i, e := range executors {
					if e.peer == c.Worker {
						wire = append(wire, message{p, i, jobs[c.Job], c.Credit})
					}
				}
			}
		}
		jobs := map[ID]Job{}
		tell := func(e *executor) {
			e.ledger.Grant(e.slots, len(e.running))
			for _, g := range e.ledger.Grants() {
				if s := schedulers[g.To]; s != nil {
					v := &View{Worker: e.peer, Takes: true, Abilities: []Ability{"f"}, Slots: e.slots, Busy: len(e.running), Grant: &g}
					cmds, err := s.Heard(now, v, nil)
					if err != nil {
						rt.Fatal(err)
					}
					do(g.To, cmds, jobs)
				}
			}
		}
		starts := 0
		start := func() {
			starts++
			p := Peer{fmt.Sprint("c", starts%2), uint64(starts)} // by turns
			schedulers[p] = New(Config{})
			alive = append(alive, p)
			for _, e := range executors {
				e.ledger.Claim(p)
				tell(e)
			}
		}
		start()
		owner := rapid.Custom(func(rt *rapid.T) Peer { return alive[rapid.IntRange(0, len(alive)-1).Draw(rt, "owner")] })
		rt.Repeat(map[string]func(*rapid.T){
			"submit": func(rt *rapid.T) {
				p := owner.Draw(rt, "to")
				number++
				j := Job{ID: jobID(number), Needs: "f", Since: now}
				jobs[j.ID] = j
				do(p, schedulers[p].Submit(now, j, nil), jobs)
			},
			"arrive": func(rt *rapid.T) {
				if len(wire) == 0 {
					return
				}
				m := wire[0] // in order
				wire = wire[1:]
				e := executors[m.to]
				if e.ledger.Spend(m.from, m.credit) {
					e.running = append(e.running, m.job.ID)
					ran[m.job.ID]++
					return
				}
				if s := schedulers[m.from]; s != nil { // busy; a dead owner hears nothing
					returned++
					s.Returned(e.peer)
					do(m.from, s.Submit(now, m.job, nil), jobs)
				}
			},
			"finish": func(rt *rapid.T) {
				e := executors[rapid.IntRange(0, len(executors)-1).Draw(rt, "executor")]
				if len(e.running) > 0 {
					e.running = e.running[1:]
					tell(e)
				}
			},
			"beat": func(rt *rapid.T) {
				now = now.Add(200 * time.Millisecond)
				tell(executors[rapid.IntRange(0, len(executors)-1).Draw(rt, "executor")])
			},
			"take over": func(rt *rapid.T) {
				if rapid.Bool().Draw(rt, "dies") && len(alive) > 0 { // else it goes on beside the other for a while
					delete(schedulers, alive[0])
					alive = alive[1:]
				}
				if len(alive) < 2 {
					start()
				}
			},
			"": func(rt *rapid.T) {
				for _, e := range executors {
					if len(e.running) > e.slots {
						rt.Fatalf("%s has %d slots and runs %d jobs", e.peer.Name, e.slots, len(e.running))
					}
				}
				for id, n := range ran {
					if n > 1 {
						rt.Fatalf("job %x ran %d times", id, n)
					}
				}
			},
		})
		// In the end everything that living coordinators have runs.
		for range 10 * (number + 1) {
			for len(wire) > 0 {
				m := wire[0]
				wire = wire[1:]
				e := executors[m.to]
				if e.ledger.Spend(m.from, m.credit) {
					e.running = append(e.running, m.job.ID)
				} else if s := schedulers[m.from]; s != nil {
					s.Returned(e.peer)
					do(m.from, s.Submit(now, m.job, nil), jobs)
				}
			}
			for _, e := range executors {
				e.running = nil
				tell(e)
			}
		}
		for p, s := range schedulers {
			if s.Waiting() > 0 {
				rt.Fatalf("%d jobs of %v wait for ever", s.Waiting(), p)
			}
		}
	})
}
