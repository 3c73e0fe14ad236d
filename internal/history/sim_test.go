package history

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
)

// sim is a small system in which everything happens at single moments, one after the other, in an order drawn from a seed.
// A protocol decides what is read. Operations overlap in time around their moments.
type sim struct {
	rng   *rand.Rand
	h     *History
	now   int64
	nodes int
	keys  int
	level string
	proto protocol
	lossy bool // some writes end unknown or failed
	count bool // there is a counter
	twice bool // which counts what is executed again
	redo  bool // some calls are executed again

	counted map[string]bool // increments that took effect
	n       int64           // of them

	runs   []*simRun
	nextOp int
	nextID int
}

// protocol is how a level keeps its promise; or not.
type protocol interface {
	// read gives what a call sees.
	read(c *simCall, key string) []string
	// write takes effect, unless it does not apply. It gives what the write replaces, and its stamp.
	write(c *simCall, key, id string, applies bool) (replaces []string, stamp Stamp)
	// end of a run: whether it succeeds.
	end(r *simRun) bool
	// finals of the store and the nodes.
	finals(s *sim)
}

// simRun is a run under way.
type simRun struct {
	name  string
	calls []*simCall
	base  any // the protocol's, shared by all calls
	ended map[string]int
}

// simCall is a call of a run.
type simCall struct {
	run    *simRun
	name   string
	after  []*simCall
	node   int
	left   int
	total  int
	free   int64 // from when on it may act
	done   bool
	seq    int
	att    int
	know   map[string][]string // what it has read and written of each key, its predecessors' included
	own    map[string][]string // what its run has written of each key, as far as it knows, in order
	memory any                 // the protocol's
	began  bool
	counts bool // it begins with an increment, each time that it is executed
}

func newSim(seed uint64, level string, p protocol) *sim {
	return &sim{rng: rand.New(rand.NewPCG(seed, 7)), h: &History{Faults: []Fault{{Kind: "drop"}}}, now: 1000, nodes: 3, keys: 5, level: level, proto: p, counted: map[string]bool{}}
}

func (s *sim) key() string { return fmt.Sprintf("{t}%s%d", s.level, s.rng.IntN(s.keys)) }

// generate runs until there are so many operations.
func (s *sim) generate(ops int) *History {
	n := 0
	for len(s.h.Ops) < ops || len(s.runs) > 0 {
		for len(s.runs) < 6 && len(s.h.Ops) < ops {
			n++
			s.runs = append(s.runs, s.newRun(n))
		}
		s.now += 1 + s.rng.Int64N(8)
		r := s.runs[s.rng.IntN(len(s.runs))]
		c := r.calls[s.rng.IntN(len(r.calls))]
		if c.done || c.free > s.now || slices.ContainsFunc(c.after, func(p *simCall) bool { return !p.done || p.free > s.now }) {
			continue
		}
		s.act(c)
		if !slices.ContainsFunc(r.calls, func(c *simCall) bool { return !c.done }) {
			s.endRun(r)
		}
	}
	s.proto.finals(s)
	if s.count {
		s.h.Finals = append(s.h.Finals, Final{Key: s.level + "-counter", N: s.n})
	}
	return s.h
}

// newRun makes a chain, or a diamond.
func (s *sim) newRun(n int) *simRun {
	r := &simRun{name: fmt.Sprintf("%s-%d", s.level, n), ended: map[string]int{}}
	for i := range 1 + s.rng.IntN(4) {
		size := 1 + s.rng.IntN(4)
		c := &simCall{run: r, name: string(rune('a' + i)), node: s.rng.IntN(s.nodes), left: size, total: size, counts: s.rng.IntN(3) == 0}
		if i > 0 {
			c.after = r.calls[i-1 : i]
		}
		r.calls = append(r.calls, c)
	}
	if len(r.calls) == 4 && s.rng.IntN(2) == 0 {
		r.calls[2].after = r.calls[:1]
		r.calls[3].after = r.calls[1:3]
	}
	return r
}

func (s *sim) act(c *simCall) {
	if !c.began {
		c.began = true
		s.enter(c)
	}
	begin := max(c.free, s.now-s.rng.Int64N(30))
	for _, p := range c.after {
		begin = max(begin, p.free)
	}
	o := Op{
		Run: c.run.name, Call: c.name, Seq: c.seq, Attempt: c.att, Node: fmt.Sprintf("n%d", c.node), Level: s.level,
		Key: s.key(), Begin: begin, End: s.now + s.rng.Int64N(30), Result: OK,
	}
	for _, p := range c.after {
		o.After = append(o.After, p.name)
	}
	if s.count && (c.counts && c.seq == 0 || s.rng.IntN(12) == 0) {
		s.counter(c, &o)
	} else if s.rng.IntN(5) < 2 {
		s.nextID++
		id := fmt.Sprintf("%s.%d", s.level, s.nextID)
		var applies bool
		o.Result, applies = s.fate()
		o.Kind, o.Values = Write, []string{id}
		o.Replaces, o.Stamp = s.proto.write(c, o.Key, id, applies)
		if o.Result == OK {
			c.know[o.Key] = append(c.know[o.Key], id)
			c.own[o.Key] = append(c.own[o.Key], id)
		}
	} else {
		o.Kind = Read
		o.Values = s.proto.read(c, o.Key)
		c.know[o.Key] = append(c.know[o.Key], o.Values...)
	}
	s.nextOp++
	o.ID = s.nextOp
	s.h.Ops = append(s.h.Ops, o)
	c.free = o.End + 1
	c.seq++
	c.left--
	switch {
	case s.redo && c.att < 2 && s.rng.IntN(15) == 0: // it crashes, and begins anew
		c.att, c.seq, c.left, c.began = c.att+1, 0, c.total, false
		c.node = s.rng.IntN(s.nodes)
	case c.left == 0:
		c.done = true
		c.run.ended[c.name] = c.att
	}
}

// fate draws what becomes of a write.
func (s *sim) fate() (r Result, applies bool) {
	if s.lossy {
		switch s.rng.IntN(12) {
		case 0:
			return Failed, false
		case 1:
			return Unknown, s.rng.IntN(2) == 0
		}
	}
	return OK, true
}

// counter makes the operation one on the counter. An increment that is executed again has the same id.
func (s *sim) counter(c *simCall, o *Op) {
	o.Key = s.level + "-counter"
	if !c.counts || o.Seq > 0 {
		o.Kind, o.N = ReadCounter, s.n
		if s.level == "lww" {
			o.N = s.rng.Int64N(s.n + 1)
		}
		return
	}
	id := fmt.Sprint(o.Run, "/", o.Call, "/", o.Seq)
	o.Kind, o.Values = Increment, []string{id}
	var applies bool
	if o.Result, applies = s.fate(); applies && (s.twice || !s.counted[id]) {
		s.counted[id] = true
		s.n++
	}
}

// enter gives a call what its predecessors know.
func (s *sim) enter(c *simCall) {
	c.know, c.own, c.memory = map[string][]string{}, map[string][]string{}, nil
	for _, p := range c.after {
		for k, v := range p.know {
			c.know[k] = append(c.know[k], v...)
		}
		for k, v := range p.own {
			c.own[k] = append(c.own[k], v...)
		}
	}
}

func (s *sim) endRun(r *simRun) {
	s.runs = slices.DeleteFunc(s.runs, func(x *simRun) bool { return x == r })
	e := End{Run: r.name, Level: s.level, Outcome: OK, Attempts: r.ended}
	if !s.proto.end(r) {
		e.Outcome = Failed
	}
	s.h.Ends = append(s.h.Ends, e)
}

// final records the state of all keys: get gives it for a node, -1 for the store.
func (s *sim) final(nodes int, get func(node int, key string) []string) {
	for k := range s.keys {
		key := fmt.Sprintf("{t}%s%d", s.level, k)
		for n := -1; n < nodes; n++ {
			f := Final{Key: key, Values: get(n, key)}
			if n >= 0 {
				f.Node = fmt.Sprintf("n%d", n)
			}
			s.h.Finals = append(s.h.Finals, f)
		}
	}
}

// set is a set of write ids.
type set map[string]bool

func (a set) addAll(b set) { maps.Copy(a, b) }

// unique sorts and removes what is double.
func unique(s []string) []string {
	s = slices.Clone(s)
	slices.Sort(s)
	return slices.Compact(s)
}
