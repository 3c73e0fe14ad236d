package sched

import (
	"encoding/binary"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/squall-faas/squall/fault"
)

var epoch = time.Unix(1000, 0)

func jobID(n int) (id ID) {
	binary.BigEndian.PutUint64(id[:], uint64(n))
	return id
}

// house is a scheduler with what a test knows of its workers.
type house struct {
	t   testing.TB
	s   *Scheduler
	now time.Time
	out []Command
	n   int
}

func newHouse(t testing.TB, cfg Config) *house { return &house{t: t, s: New(cfg), now: epoch} }

// worker announces one with so many slots and credits, which are told as those granted so far.
func (h *house) worker(name string, slots int, limit uint64, more ...func(*View)) {
	h.t.Helper()
	v := &View{
		Worker: Peer{name, 1}, Takes: true, Abilities: []Ability{"f"}, Slots: slots, Mean: time.Second,
		Grant: &Grant{Limit: limit, Serial: uint64(h.now.UnixNano())},
	}
	if w := h.s.workers[name]; w != nil {
		v.Grant.Spent = w.spent
		v.Busy = int(w.spent)
	}
	for _, f := range more {
		f(v)
	}
	var err error
	if h.out, err = h.s.Heard(h.now, v, h.out[:0]); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) submit(j Job) []Command {
	h.n++
	if j.ID == (ID{}) {
		j.ID = jobID(h.n)
	}
	if j.Needs == "" {
		j.Needs = "f"
	}
	if j.Since.IsZero() {
		j.Since = h.now
	}
	h.out = h.s.Submit(h.now, j, h.out[:0])
	return h.out
}

// told gives commands as text.
func told(cmds []Command) string {
	var out []string
	for _, c := range cmds {
		n := binary.BigEndian.Uint64(c.Job[:])
		switch c.Kind {
		case Bind:
			out = append(out, fmt.Sprintf("%d→%s", n, c.Worker.Name))
		case Reject:
			out = append(out, fmt.Sprintf("%d rejected", n))
		case Strand:
			out = append(out, fmt.Sprintf("%d stranded", n))
		}
	}
	return fmt.Sprint(out)
}

func (h *house) expect(what, want string) {
	h.t.Helper()
	if got := told(h.out); got != want {
		h.t.Errorf("%s: %s, want %s", what, got, want)
	}
}

// TestLateBinding has jobs wait for a slot rather than behind a job: the first slot that is free takes the first of them.
func TestLateBinding(t *testing.T) {
	h := newHouse(t, Config{})
	h.worker("a", 1, 1)
	h.worker("b", 1, 1)
	h.submit(Job{})
	first := h.out[0].Worker.Name
	h.submit(Job{})
	if second := h.out[0].Worker.Name; second == first {
		t.Errorf("both are on %s, and the other has a free slot", first)
	}
	h.submit(Job{})
	h.expect("no slot is free", "[]")
	h.submit(Job{})
	h.worker("b", 1, 2)
	h.expect("b is free", "[3→b]")
	h.worker("a", 1, 2)
	h.expect("a is free", "[4→a]")
	if h.s.Waiting() != 0 {
		t.Errorf("%d wait", h.s.Waiting())
	}
}

// TestFairShares has one application flood the queue: another that comes later gets every other slot, and more where its
// jobs are shorter.
func TestFairShares(t *testing.T) {
	h := newHouse(t, Config{})
	h.worker("a", 1, 0)
	for range 100 {
		h.submit(Job{App: "flood"})
	}
	for range 20 {
		h.submit(Job{App: "drop"})
	}
	served := func(n uint64) (drops int) {
		before := h.s.workers["a"].spent
		h.worker("a", 1, before+n)
		for _, c := range h.out {
			if binary.BigEndian.Uint64(c.Job[:]) > 100 {
				drops++
			}
		}
		return drops
	}
	if n := served(20); n != 10 {
		t.Errorf("%d of 20 slots for one of two applications", n)
	}
	p := Peer{"a", 1}
	for range 40 {
		h.s.Finished(h.now, "flood", p, 300*time.Millisecond, nil)
		h.s.Finished(h.now, "drop", p, 100*time.Millisecond, nil)
	}
	if n := served(12); n < 8 || n > 10 {
		t.Errorf("%d of 12 slots for jobs a third as long", n)
	}
}

func TestPriorities(t *testing.T) {
	h := newHouse(t, Config{})
	h.worker("a", 1, 0)
	h.submit(Job{Priority: -2})
	h.submit(Job{})
	h.submit(Job{Priority: 3})
	h.now = h.now.Add(4 * time.Second)
	h.submit(Job{Priority: 3}) // came so late that it is like one of priority -1
	h.worker("a", 1, 4)
	h.expect("in order", "[3→a 2→a 4→a 1→a]")
	if err := CheckPriority(11); !fault.Is(err, fault.InvalidArgument) || CheckPriority(10) != nil || CheckPriority(-10) != nil {
		t.Errorf("bounds: %v", err)
	}
}

// TestBoundedQueue rejects what does not fit, and first of all who has most of it.
func TestBoundedQueue(t *testing.T) {
	h := newHouse(t, Config{Queue: 20})
	h.worker("a", 1, 0)
	h.submit(Job{App: "meek"})
	rejected := 0
	for range 30 {
		for _, c := range h.submit(Job{App: "greedy"}) {
			if c.Kind != Reject || c.Err.Code != fault.Overloaded || c.Err.RetryAfter <= 0 {
				t.Fatalf("%+v", c)
			}
			rejected++
		}
	}
	if waiting := h.s.Waiting(); waiting != 11 || rejected != 20 {
		t.Errorf("%d wait and %d were rejected, want 11 and 20: half of the queue is for others", waiting, rejected)
	}
	for range 9 {
		h.submit(Job{App: "meek"})
		h.expect("there is room for the meek", "[]")
	}
	h.submit(Job{App: "third"})
	h.expect("it is full", "[41 rejected]")
}

// keysOf gives the update of a digest of keys of a size.
func keysOf(size int64, keys ...string) []byte {
	var d Digest
	d.Rebuild(func(yield func(uint64, int64)) {
		for _, k := range keys {
			yield(KeyHash(k), size)
		}
	})
	return d.Update(UpdateBytes)
}

// TestLocality has a job go where its bytes are; wait a moment when there is no slot; and go elsewhere when the data is not
// worth the wait, or does not come free in time.
func TestLocality(t *testing.T) {
	for _, size := range []int64{8 << 10, 1 << 20, 64 << 20} {
		h := newHouse(t, Config{})
		for i := range 40 {
			h.worker(fmt.Sprintf("w%d", i), 1, 1)
		}
		h.worker("has", 1, 1, func(v *View) { v.Keys = keysOf(size, "k") })
		key := []uint64{KeyHash("k")}
		if size >= leastSize {
			h.submit(Job{Keys: key})
			h.expect("it goes to its data", "[1→has]")
		} else {
			h.submit(Job{}) // small keys are found at instances of the application only
			h.s.app("").enter(h.s.workers["has"], h.now)
			h.s.app("").retreat(h.now)
			h.s.app("").enter(h.s.workers["has"], h.now)
			h.submit(Job{Keys: key})
			h.expect("it goes to its data", "[2→has]")
		}
	}
}

func TestShortWait(t *testing.T) {
	start := func(mean time.Duration) *house {
		h := newHouse(t, Config{Bandwidth: 1e9})
		h.worker("other", 1, 5, func(v *View) { v.Mean = mean })
		h.worker("has", 1, 1, func(v *View) { v.Keys, v.Mean = keysOf(64<<20, "k"), mean })
		h.submit(Job{Keys: []uint64{KeyHash("k")}})
		h.expect("it goes to its data", "[1→has]")
		h.submit(Job{Keys: []uint64{KeyHash("k")}})
		return h
	}
	h := start(10 * time.Millisecond)
	h.expect("a slot there is free sooner than the data is here", "[]")
	h.now = h.now.Add(9 * time.Millisecond)
	h.worker("has", 1, 2)
	h.expect("it is", "[2→has]")

	h = start(10 * time.Millisecond)
	if next := h.s.Next(); next.IsZero() || next.Sub(h.now) > 70*time.Millisecond {
		t.Errorf("it waits for %v, and the transfer takes 67 ms", next.Sub(h.now))
	}
	h.now = h.s.Next()
	h.out = h.s.Tick(h.now, h.out[:0])
	h.expect("it is not", "[2→other]")
	if got := h.s.Holds(Peer{"other", 1}, []uint64{KeyHash("k")}); got == 0 {
		t.Error("who takes over for a saturated holder has the key next")
	}
	if len(h.s.parked) != 0 || h.s.Waiting() != 0 || !h.s.Next().IsZero() {
		t.Error("it is parked still")
	}

	h = start(10 * time.Second)
	h.expect("jobs there are long: the data is fetched", "[2→other]")
}

// TestConcentration keeps an application on few workers while they have slots, spreads it when they have none, and has it
// leave those that it does not need.
func TestConcentration(t *testing.T) {
	h := newHouse(t, Config{})
	limit := map[string]uint64{}
	beat := func(busy int) {
		for i := range 50 {
			name := fmt.Sprintf("w%02d", i)
			spent := uint64(0)
			if w := h.s.workers[name]; w != nil {
				spent = w.spent
			}
			limit[name] = spent + uint64(4-busy)
			h.worker(name, 4, limit[name], func(v *View) { v.Busy = busy })
		}
	}
	beat(0)
	for range 100 {
		h.submit(Job{App: "x"})
		beat(0)
		h.now = h.now.Add(10 * time.Millisecond)
	}
	if n := h.s.Instances()["x"]; n != 1 {
		t.Errorf("%d instances for one job at a time", n)
	}
	for range 40 {
		h.submit(Job{App: "x"})
	}
	if n := h.s.Instances()["x"]; n != 10 {
		t.Errorf("%d instances for 40 jobs on workers of 4 slots", n)
	}
	for range 12 {
		h.now = h.now.Add(time.Second)
		beat(0)
		h.submit(Job{App: "x"})
		h.s.Sweep(h.now)
	}
	if n := h.s.Instances()["x"]; n > 2 {
		t.Errorf("%d instances, long after they were needed", n)
	}
	h.now = h.now.Add(time.Minute)
	h.s.Sweep(h.now)
	if len(h.s.apps) != 0 {
		t.Error("an application that is gone is kept")
	}
}

// TestStaleViews has a burst meet views that are out of date: it spreads instead of falling on the one that looked idle.
func TestStaleViews(t *testing.T) {
	h := newHouse(t, Config{Cold: time.Nanosecond})
	for i := range 100 {
		h.worker(fmt.Sprintf("w%d", i), 8, 1<<20, func(v *View) { v.Busy, v.Grant = 1, &Grant{Limit: 1 << 20, Serial: 1} })
	}
	h.worker("idle", 8, 1<<20)
	h.now = h.now.Add(5 * time.Second)
	to := map[string]int{}
	for i := range 50 {
		h.submit(Job{App: fmt.Sprint(i)})
		to[h.out[0].Worker.Name]++
	}
	if to["idle"] > 10 || len(to) < 25 {
		t.Errorf("50 jobs on %d workers, %d of them on the one that looked idle 5 s ago", len(to), to["idle"])
	}
}

// TestReturned has a job come back from a worker that has no slot after all: it keeps its place, and goes elsewhere.
func TestReturned(t *testing.T) {
	h := newHouse(t, Config{})
	h.worker("a", 2, 8)
	since := h.now
	h.submit(Job{ID: jobID(1)})
	h.expect("bound", "[1→a]")
	h.now = h.now.Add(time.Second)
	h.s.Returned(Peer{"a", 1})
	h.submit(Job{ID: jobID(2)})
	h.submit(Job{ID: jobID(1), Since: since})
	h.expect("a has nothing left", "[]")
	h.worker("a", 2, 9)
	h.expect("in order", "[1→a 2→a]")
}

func TestStranded(t *testing.T) {
	h := newHouse(t, Config{})
	h.submit(Job{})
	h.expect("nobody is there", "[1 stranded]")
	h.worker("a", 1, 0)
	for range 3 {
		h.submit(Job{})
	}
	h.worker("b", 1, 0, func(v *View) { v.Abilities = []Ability{"g"} })
	h.out = h.s.Lost(h.now, Peer{"a", 1}, h.out[:0])
	h.expect("the only one is lost", "[2 stranded 3 stranded 4 stranded]")
	if h.s.Waiting() != 0 || len(h.s.flows) != 0 || h.s.active != 0 {
		t.Error("something is left of them")
	}
}

// TestSchedulerProperties holds a scheduler, over random events, to: no credit is spent that was not granted; no worker gets
// what it cannot run, or anything while it takes nothing; each job is in one place; and no job waits in the queue while a
// worker that could run it has credit.
func TestSchedulerProperties(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := New(Config{Queue: 30, Seed: rapid.Uint64().Draw(rt, "seed")})
		now := epoch
		abilities := []Ability{"f", "g", "h"}
		limits, serial := map[Peer]uint64{}, uint64(0)
		takes, can := map[Peer]bool{}, map[Peer][]Ability{}
		lives := map[string]uint64{}
		open := map[ID]Job{}
		number := 0
		do := func(cmds []Command) {
			for _, c := range cmds {
				j, ok := open[c.Job]
				if !ok {
					rt.Fatalf("%+v: no such job", c)
				}
				delete(open, c.Job)
				switch c.Kind {
				case Bind:
					if c.Credit > limits[c.Worker] || c.Credit == 0 {
						rt.Fatalf("credit %d of %d is spent", c.Credit, limits[c.Worker])
					}
					if !takes[c.Worker] || !slices.Contains(can[c.Worker], j.Needs) {
						rt.Fatalf("%v cannot run %v", c.Worker, j.Needs)
					}
				case Strand:
					for p, ok := range takes {
						if ok && slices.Contains(can[p], j.Needs) {
							rt.Fatalf("stranded, and %v could run it", p)
						}
					}
				}
			}
		}
		name := rapid.SampledFrom([]string{"a", "b", "c", "d"})
		rt.Repeat(map[string]func(*rapid.T){
			"submit": func(rt *rapid.T) {
				number++
				j := Job{
					ID: jobID(number), App: rapid.SampledFrom([]string{"x", "y"}).Draw(rt, "app"), Since: now,
					Needs: rapid.SampledFrom(abilities).Draw(rt, "needs"), Priority: Priority(rapid.IntRange(-10, 10).Draw(rt, "priority")),
				}
				for range rapid.IntRange(0, 2).Draw(rt, "keys") {
					j.Keys = append(j.Keys, KeyHash(rapid.SampledFrom([]string{"k", "l"}).Draw(rt, "key")))
				}
				open[j.ID] = j
				do(s.Submit(now, j, nil))
			},
			"heard": func(rt *rapid.T) {
				n := name.Draw(rt, "worker")
				if lives[n] == 0 || rapid.IntRange(0, 9).Draw(rt, "again") == 0 {
					delete(takes, Peer{n, lives[n]})
					lives[n]++
				}
				p := Peer{n, lives[n]}
				serial++
				limits[p] += uint64(rapid.IntRange(0, 3).Draw(rt, "more"))
				takes[p], can[p] = rapid.IntRange(0, 4).Draw(rt, "takes") > 0, abilities[:rapid.IntRange(1, 3).Draw(rt, "can")]
				v := &View{
					Worker: p, Takes: takes[p], Abilities: can[p], Slots: rapid.IntRange(1, 4).Draw(rt, "slots"), Mean: time.Duration(rapid.IntRange(0, 1000).Draw(rt, "mean")) * time.Millisecond,
					Busy: rapid.IntRange(0, 4).Draw(rt, "busy"), Grant: &Grant{Limit: limits[p], Serial: serial},
				}
				if w := s.worker(p); w != nil {
					v.Grant.Spent = w.spent
				}
				if rapid.Bool().Draw(rt, "digest") {
					v.Keys = keysOf(1<<rapid.IntRange(10, 28).Draw(rt, "size"), rapid.SampledFrom([]string{"k", "l"}).Draw(rt, "key"))
				}
				cmds, err := s.Heard(now, v, nil)
				if err != nil {
					rt.Fatal(err)
				}
				do(cmds)
			},
			"lost": func(rt *rapid.T) {
				n := name.Draw(rt, "worker")
				delete(takes, Peer{n, lives[n]})
				do(s.Lost(now, Peer{n, lives[n]}, nil))
				lives[n]++ // it comes back as another
			},
			"doubt": func(rt *rapid.T) {
				n := name.Draw(rt, "worker")
				if p := (Peer{n, lives[n]}); takes[p] {
					takes[p] = false
					do(s.Doubt(now, p, nil))
				}
			},
			"returned": func(rt *rapid.T) {
				n := name.Draw(rt, "worker")
				s.Returned(Peer{n, lives[n]})
			},
			"cancel": func(rt *rapid.T) {
				id := jobID(rapid.IntRange(1, number+1).Draw(rt, "job"))
				s.Cancel(id)
				delete(open, id)
			},
			"pass": func(rt *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(0, 300).Draw(rt, "ms")) * time.Millisecond)
				do(s.Tick(now, nil))
				s.Sweep(now)
			},
			"": func(rt *rapid.T) {
				if s.Waiting() != len(open) || s.Waiting() > 30+len(s.parked) {
					rt.Fatalf("%d wait, and %d are open", s.Waiting(), len(open))
				}
				parked := 0
				for _, w := range s.workers {
					parked += len(w.parked)
				}
				for _, flows := range s.flows {
					for _, f := range flows {
						parked += len(f.jobs)
						for _, j := range f.jobs {
							for _, w := range s.workers {
								if w.credit() > 0 && slices.Contains(w.class.abilities, j.Needs) {
									rt.Fatalf("a job waits, and %v has credit", w.peer)
								}
							}
						}
					}
				}
				if parked != s.Waiting() {
					rt.Fatalf("%d wait, and %d are in a queue", s.Waiting(), parked)
				}
			},
		})
	})
}
