package xfer

import (
	"cmp"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/squall-faas/squall/fault"
)

// simPeer is how a peer behaves in a simulated fetch.
type simPeer struct {
	rate  float64       // bytes a second of each stream
	delay time.Duration // before the first byte
	dies  time.Duration // after which all its streams fail; 0: never
	says  fault.Code    // refuses everything with it, if not empty
	hangs bool          // sends nothing; its streams fail after the stall timeout
}

const simStall = 5 * time.Second

// sim runs a plan in virtual time, and checks at each step that the plan keeps its bounds.
type sim struct {
	t      interface{ Fatalf(string, ...any) }
	plan   *plan
	peers  []simPeer
	now    time.Time
	epoch  time.Time
	ends   map[int]time.Time // of streams under way
	times  []int             // how often each range has come
	served []int             // ranges by peer
	cut    int
	events int
}

func newSim(t interface{ Fatalf(string, ...any) }, size, step int64, window, perPeer int, peers []simPeer) *sim {
	links := make([]Link, len(peers))
	for i := range links {
		links[i].Addr = fmt.Sprint(i)
	}
	epoch := time.Unix(1_800_000_000, 0)
	s := &sim{t: t, peers: peers, now: epoch, epoch: epoch, ends: map[int]time.Time{}, served: make([]int, len(peers))}
	s.plan = newPlan(size, step, links, window, perPeer, func() float64 { return 0.5 })
	s.times = make([]int, s.plan.ranges())
	return s
}

// outcome of a stream: when it ends, and with what.
func (s *sim) outcome(st *stream) (at time.Time, err *fault.Error) {
	p := s.peers[st.peer]
	_, length := s.plan.bounds(st.index)
	died := s.epoch.Add(p.dies)
	switch {
	case p.says != "":
		return st.began.Add(time.Millisecond), fault.New(p.says, "no")
	case p.hangs:
		return st.began.Add(simStall), fault.New(fault.Unavailable, "stalled")
	case p.dies > 0 && !st.began.Before(died):
		return st.began.Add(time.Millisecond), fault.New(fault.Unreachable, "refused")
	}
	at = st.began.Add(p.delay + time.Duration(float64(length)/p.rate*1e9))
	if p.dies > 0 && at.After(died) {
		return died, fault.New(fault.Unavailable, "cut off")
	}
	return at, nil
}

func (s *sim) got(id int) int64 {
	i := slices.IndexFunc(s.plan.streams, func(st *stream) bool { return st.id == id })
	st := s.plan.streams[i]
	p := s.peers[st.peer]
	if p.hangs || p.says != "" {
		return 0
	}
	_, length := s.plan.bounds(st.index)
	return min(int64(max(s.now.Sub(st.began)-p.delay, 0).Seconds()*p.rate), int64(length))
}

// run until the plan is done (true) or stuck.
func (s *sim) run() bool {
	for ; ; s.events++ {
		if s.events > 100_000 {
			s.t.Fatalf("no end after %d events", s.events)
		}
		for _, st := range s.plan.start(s.now) {
			at, _ := s.outcome(st)
			s.ends[st.id] = at
		}
		s.check()
		if s.plan.done() {
			return true
		}
		if s.plan.stuck() {
			return false
		}
		var first *stream
		for _, st := range s.plan.streams {
			if first == nil || s.ends[st.id].Before(s.ends[first.id]) {
				first = st
			}
		}
		wake := s.plan.wake(s.now)
		switch {
		case first == nil && wake.IsZero():
			s.t.Fatalf("nothing is under way, and nothing would wake the plan: %+v", s.plan)
		case first == nil || !wake.IsZero() && wake.Before(s.ends[first.id]):
			s.now = wake
			for _, st := range s.plan.steal(s.now, s.got) {
				s.cut++
				s.ends[st.id] = s.now
			}
			continue
		}
		s.now = s.ends[first.id]
		_, err := s.outcome(first)
		switch {
		case first.stolen:
			s.plan.failed(first.id, fault.New(fault.Cancelled, "stolen"), s.now)
		case err != nil:
			s.plan.failed(first.id, err, s.now)
		default:
			s.times[first.index]++
			s.served[first.peer]++
			s.plan.finished(first.id, s.now)
		}
	}
}

func (s *sim) check() {
	p := s.plan
	if len(p.streams) > p.window {
		s.t.Fatalf("%d streams in a window of %d", len(p.streams), p.window)
	}
	busy := make([]int, len(p.peers))
	seen := map[int]bool{}
	for _, st := range p.streams {
		busy[st.peer]++
		if seen[st.index] {
			s.t.Fatalf("range %d is on the way twice: both would write its memory", st.index)
		}
		seen[st.index] = true
	}
	for i, q := range p.peers {
		if busy[i] != q.streams || q.streams > p.perPeer {
			s.t.Fatalf("peer %d has %d streams, counted as %d, of at most %d", i, busy[i], q.streams, p.perPeer)
		}
	}
	for _, part := range p.todo {
		if seen[part.index] {
			s.t.Fatalf("range %d is under way and waits", part.index)
		}
		seen[part.index] = true
	}
	if len(seen) != p.left {
		s.t.Fatalf("%d ranges are known of, %d are left", len(seen), p.left)
	}
}

// TestPlan: with any peers, sizes and bounds, all ranges come exactly once if one peer is sound, and the plan ends in
// any case.
func TestPlan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		peers := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) simPeer {
			p := simPeer{
				rate:  rapid.Float64Range(1e3, 1e9).Draw(t, "rate"),
				delay: time.Duration(rapid.IntRange(0, 50).Draw(t, "delay")) * time.Millisecond,
			}
			switch rapid.IntRange(0, 5).Draw(t, "fault") {
			case 0:
				p.dies = time.Duration(rapid.IntRange(1, 2000).Draw(t, "dies")) * time.Millisecond
			case 1:
				p.hangs = true
			case 2:
				p.says = rapid.SampledFrom(statuses[1:]).Draw(t, "says")
			}
			return p
		}), 1, 8).Draw(t, "peers")
		s := newSim(t, rapid.Int64Range(1, 1<<20).Draw(t, "size"), rapid.Int64Range(1<<12, 1<<18).Draw(t, "step"),
			rapid.IntRange(1, 24).Draw(t, "window"), rapid.IntRange(1, 4).Draw(t, "per peer"), peers)
		whole := s.run()
		sound := slices.ContainsFunc(peers, func(p simPeer) bool { return p.dies == 0 && !p.hangs && p.says == "" })
		if sound && !whole {
			t.Fatalf("a sound peer, and yet: %+v", s.plan.peers)
		}
		if whole && slices.ContainsFunc(s.times, func(n int) bool { return n != 1 }) {
			t.Fatalf("ranges came %v times", s.times)
		}
	})
}

func TestPlanFasterPeerServesMore(t *testing.T) {
	s := newSim(t, 256<<20, 1<<20, 16, 2, []simPeer{{rate: 100e6}, {rate: 400e6}, {rate: 50e6}})
	if !s.run() {
		t.Fatal("stuck")
	}
	took := s.now.Sub(s.epoch)
	rates := 2 * 550e6
	best := time.Duration(float64(s.plan.size) / rates * 1e9) // two streams of each, all the time
	if took > best+best/10 {
		t.Errorf("%v, where %v could be had", took, best)
	}
	if !slices.IsSortedFunc([]int{s.served[2], s.served[0], s.served[1]}, cmp.Compare[int]) || s.served[1] < 3*s.served[0] {
		t.Errorf("ranges by peer: %v", s.served)
	}
}

// TestPlanDoesNotWaitForTheSlowest: what a hung or very slow peer has is taken from it, long before it stalls.
func TestPlanDoesNotWaitForTheSlowest(t *testing.T) {
	for name, slow := range map[string]simPeer{"hangs": {hangs: true}, "crawls": {rate: 1e4}} {
		for _, size := range []int64{64 << 10, 16 << 20} {
			s := newSim(t, size, 1<<20, 16, 2, []simPeer{slow, {rate: 1e9}})
			if !s.run() {
				t.Fatal(name, size, "stuck")
			}
			if took := s.now.Sub(s.epoch); took > 500*time.Millisecond || s.cut == 0 {
				t.Errorf("%s, %d bytes: %v, %d streams cut", name, size, took, s.cut)
			}
		}
	}
	even := newSim(t, 64<<20, 1<<20, 16, 2, []simPeer{{rate: 1e8}, {rate: 1.2e8}, {rate: 0.9e8}})
	if even.run(); even.cut > 0 {
		t.Errorf("%d ranges are taken from peers that are about as fast", even.cut)
	}
}

// TestPlanOneIncident: all streams of a peer fail together, and the peer gets another chance.
func TestPlanOneIncident(t *testing.T) {
	p := newPlan(8, 1, []Link{{Addr: "a"}}, 8, 4, func() float64 { return 0.5 })
	now := time.Unix(1_800_000_000, 0)
	for strike := 1; strike <= maxStrikes; strike++ {
		streams := p.start(now)
		if len(streams) != 4 {
			t.Fatalf("strike %d: %d streams", strike, len(streams))
		}
		now = now.Add(time.Second)
		for _, s := range streams {
			p.failed(s.id, fault.New(fault.Unavailable, "cut off"), now)
		}
		if got := p.peers[0].strikes; got != strike {
			t.Fatalf("%d strikes after %d incidents", got, strike)
		}
		if strike == maxStrikes {
			break
		}
		if len(p.start(now)) > 0 {
			t.Fatal("asked again without a pause")
		}
		now = p.wake(now)
	}
	if !p.stuck() {
		t.Error("still hopes")
	}
}

// TestPlanHeedsOverload: an overloaded peer is asked later, for less at a time, and is not given up soon.
func TestPlanHeedsOverload(t *testing.T) {
	p := newPlan(8, 1, []Link{{Addr: "a"}}, 8, 4, func() float64 { return 0.5 })
	now := time.Unix(1_800_000_000, 0)
	busy := fault.New(fault.Overloaded, "full").With(func(e *fault.Error) { e.RetryAfter = time.Second })
	for _, s := range p.start(now) {
		p.failed(s.id, busy, now)
	}
	if got := p.wake(now); !got.Equal(now.Add(time.Second)) {
		t.Fatalf("asks again after %v", got.Sub(now))
	}
	now = p.wake(now)
	for want := 1; want <= 3; want++ { // each range that comes makes room for one more stream
		streams := p.start(now)
		if len(p.streams) != want {
			t.Fatalf("%d streams, want %d", len(p.streams), want)
		}
		p.finished(streams[0].id, now)
	}
}

func TestRangeSize(t *testing.T) {
	for _, tc := range []struct {
		size  int64
		peers int
		want  int64
	}{
		{1, 3, 1},
		{wholeBelow, 3, wholeBelow},
		{wholeBelow + 1, 1, wholeBelow},
		{3 << 20, 1, 3 << 18},
		{64 << 20, 3, 1 << 20},
		{64 << 20, 64, wholeBelow},
	} {
		if got := rangeSize(tc.size, tc.peers, 1<<20); got != tc.want {
			t.Errorf("%d bytes of %d peers: ranges of %d, want %d", tc.size, tc.peers, got, tc.want)
		}
	}
}
