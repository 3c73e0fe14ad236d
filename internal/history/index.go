package history

import (
	"cmp"
	"slices"

	"github.com/squall-faas/squall/kvs"
)

// Checker is a history with what the checks look things up in. It does not change, so it is safe for concurrent use.
type Checker struct {
	h   *History
	ops []op // by begin; the checks name an operation by its index here

	runs    []run
	calls   []call
	threads []thread
	keys    []key
	writer  map[string]int32 // the Write or Delete of a write id
	thin    []bool           // reads that saw what is not there: reported once, and left alone by the checks of levels
	thinAir []Violation

	overcounts []Violation // the same of counters
}

// op is an operation and where it belongs.
type op struct {
	*Op
	level  kvs.Level
	run    int32
	call   int32
	thread int32
	pos    int32 // in its thread
	key    int32
	vals   []int32 // the writes that a read saw, ascending
	over   []int32 // the writes that a write replaced, ascending
}

// run is a run as far as it was recorded.
type run struct {
	name    string
	level   kvs.Level
	outcome Result
	end     *End // nil if there is none
	calls   []int32
	threads []int32 // those that are the run's session: one of each call whose attempt is known
}

// call is an invocation within a run.
type call struct {
	name    string
	run     int32
	local   int      // its number in the run
	after   []int32  // the calls that it names as preceding it
	before  []uint64 // bit set of local numbers: all calls that precede it
	threads []int32  // its attempts
	session int32    // the attempt that is part of the run's session; -1 where that is not known, or it did nothing
}

// thread is one attempt of one call: operations in program order.
type thread struct {
	call    int32
	attempt int
	ops     []int32
}

// key is everything about one key.
type key struct {
	name    string
	ops     []int32
	writes  []int32 // Write and Delete
	deletes []int32 // those that may have had an effect
	counter bool
	final   *Final // of the store; nil if it was not recorded
	seen    []*Final
}

// New prepares a history for checking. It refuses one that contradicts itself, as invalid_argument. The history must not
// be changed afterwards.
func New(h *History) (*Checker, error) {
	c := &Checker{h: h, writer: map[string]int32{}}
	for _, step := range []func() error{c.addOps, c.addEnds, c.orderCalls, c.addFinals} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	c.findVersions()
	return c, nil
}

// addOps sorts the operations into runs, calls, attempts and keys.
func (c *Checker) addOps() error {
	c.ops = make([]op, len(c.h.Ops))
	for i := range c.h.Ops {
		o := &c.h.Ops[i]
		if err := o.check(); err != nil {
			return err
		}
		level, err := kvs.ParseLevel(o.Level)
		if err != nil {
			return err
		}
		c.ops[i] = op{Op: o, level: level}
	}
	slices.SortFunc(c.ops, func(a, b op) int { return cmp.Or(cmp.Compare(a.Begin, b.Begin), cmp.Compare(a.ID, b.ID)) })

	type callName struct {
		run  int32
		call string
	}
	type threadName struct {
		call    int32
		attempt int
	}
	ids, runs, keys := map[int]*Op{}, map[string]int32{}, map[string]int32{}
	calls, threads := map[callName]int32{}, map[threadName]int32{}
	for i := range c.ops {
		o := &c.ops[i]
		if twin := ids[o.ID]; twin != nil {
			return refuse(o.at, "op %d is there twice%s: give each operation an id of its own", o.ID, also(twin.at))
		}
		ids[o.ID] = o.Op

		var fresh bool
		if o.run, fresh = number(runs, o.Run); fresh {
			c.runs = append(c.runs, run{name: o.Run, level: o.level, outcome: Unknown})
		}
		r := &c.runs[o.run]
		if r.level != o.level {
			return refuse(o.at, "op %d is at level %v, others of run %s are at %v: a run has one level", o.ID, o.level, o.Run, r.level)
		}
		if o.call, fresh = number(calls, callName{o.run, o.Call}); fresh {
			c.calls = append(c.calls, call{name: o.Call, run: o.run, local: len(r.calls), session: -1})
			r.calls = append(r.calls, o.call)
		}
		if o.thread, fresh = number(threads, threadName{o.call, o.Attempt}); fresh {
			c.threads = append(c.threads, thread{call: o.call, attempt: o.Attempt})
			c.calls[o.call].threads = append(c.calls[o.call].threads, o.thread)
		}
		t := &c.threads[o.thread]
		t.ops = append(t.ops, int32(i))

		if o.key, fresh = number(keys, o.Key); fresh {
			c.keys = append(c.keys, key{name: o.Key, counter: o.counts()})
		}
		k := &c.keys[o.key]
		k.ops = append(k.ops, int32(i))
		if k.counter != o.counts() {
			return refuse(o.at, "op %d is a %s, but other operations treat key %s otherwise: a key is a counter or it is not", o.ID, o.Kind, o.Key)
		}
		if o.writes() {
			if twin, there := c.writer[o.Values[0]]; there {
				return refuse(o.at, "ops %d and %d%s both wrote %s: give every write a value of its own", o.ID, c.ops[twin].ID, also(c.ops[twin].at), o.Values[0])
			}
			c.writer[o.Values[0]] = int32(i)
			k.writes = append(k.writes, int32(i))
			if o.Kind == Delete && o.Result != Failed {
				k.deletes = append(k.deletes, int32(i))
			}
		}
	}
	for i := range c.ops { // a call's operations may name its predecessors before these have been met
		o := &c.ops[i]
		for _, name := range o.After {
			if p, known := calls[callName{o.run, name}]; known && !slices.Contains(c.calls[o.call].after, p) {
				c.calls[o.call].after = append(c.calls[o.call].after, p)
			}
		}
	}
	return c.orderThreads()
}

// orderThreads puts each attempt into program order, and makes sure that transactions name what they replace.
func (c *Checker) orderThreads() error {
	for t := range c.threads {
		ops := c.threads[t].ops
		read := map[int32]bool{} // keys that were there
		slices.SortStableFunc(ops, func(a, b int32) int { return cmp.Compare(c.ops[a].Seq, c.ops[b].Seq) })
		for i, o := range ops {
			c.ops[o].pos = int32(i)
			switch p := &c.ops[o]; {
			case p.level != kvs.Transaction:
			case p.Kind == Read && len(p.Values) > 0:
				read[p.key] = true
			case p.writes() && len(p.Replaces) == 0 && read[p.key]:
				return refuse(p.at, "op %d: at txn a write has to name in its replaces what its run had read of the key", p.ID)
			}
			if i > 0 && c.ops[ops[i-1]].Seq == c.ops[o].Seq {
				return refuse(c.ops[o].at, "ops %d and %d of call %s of run %s both have seq %d: number them in program order",
					c.ops[ops[i-1]].ID, c.ops[o].ID, c.ops[o].Call, c.ops[o].Run, c.ops[o].Seq)
			}
		}
	}
	return nil
}

// addEnds finds out which attempts make up each run's session.
func (c *Checker) addEnds() error {
	runs := make(map[string]int32, len(c.runs))
	for r := range c.runs {
		runs[c.runs[r].name] = int32(r)
	}
	for i := range c.h.Ends {
		e := &c.h.Ends[i]
		if err := e.check(); err != nil {
			return err
		}
		level, err := kvs.ParseLevel(e.Level)
		if err != nil {
			return err
		}
		n, fresh := number(runs, e.Run)
		if fresh { // a run without operations counts in the report
			c.runs = append(c.runs, run{name: e.Run, level: level})
		}
		r := &c.runs[n]
		switch {
		case r.end != nil:
			return refuse(e.at, "run %s ends twice%s", e.Run, also(r.end.at))
		case r.level != level:
			return refuse(e.at, "run %s ends at level %v, its operations are at %v: a run has one level", e.Run, level, r.level)
		}
		r.end, r.outcome = e, e.Outcome
	}
	for i := range c.calls {
		l := &c.calls[i]
		r := &c.runs[l.run]
		for _, t := range l.threads {
			if r.end == nil && len(l.threads) == 1 || r.end != nil && r.end.Attempts[l.name] == c.threads[t].attempt {
				l.session = t
				r.threads = append(r.threads, t)
			}
		}
	}
	return nil
}

// addFinals gives each key its final states.
func (c *Checker) addFinals() error {
	keys := make(map[string]int32, len(c.keys))
	for k := range c.keys {
		keys[c.keys[k].name] = int32(k)
	}
	type view struct{ key, node string }
	views := map[view]*Final{}
	for i := range c.h.Finals {
		f := &c.h.Finals[i]
		if err := f.check(); err != nil {
			return err
		}
		if twin := views[view{f.Key, f.Node}]; twin != nil {
			return refuse(f.at, "the final state of key %s is there twice%s", f.Key, also(twin.at))
		}
		views[view{f.Key, f.Node}] = f
		n, fresh := number(keys, f.Key)
		if fresh {
			c.keys = append(c.keys, key{name: f.Key, counter: f.N != 0})
		}
		if k := &c.keys[n]; f.Node == "" {
			k.final = f
		} else {
			k.seen = append(k.seen, f)
		}
	}
	return nil
}

// findVersions resolves the write ids that operations name, and finds those that nobody can have seen.
func (c *Checker) findVersions() {
	c.thin = make([]bool, len(c.ops))
	for i := range c.ops {
		o := &c.ops[i]
		switch {
		case o.Kind == Read && o.Result == OK:
			o.vals = c.resolve(int32(i), o.Values)
		case o.writes():
			o.over = c.resolve(int32(i), o.Replaces)
		}
	}
	for k := range c.keys {
		if e := &c.keys[k]; e.counter {
			c.findOvercounts(e, c.increments(e.ops))
			continue
		}
		for _, f := range append([]*Final{c.keys[k].final}, c.keys[k].seen...) {
			if f == nil {
				continue
			}
			for _, v := range f.Values {
				if why := c.impossible(int32(k), v, 0); why != "" {
					c.thinAir = append(c.thinAir, Violation{Rule: ThinAir, Key: f.Key, Why: f.place() + " ends with " + v + ", " + why})
				}
			}
		}
	}
}

// resolve gives the writes that an operation names, without those that it cannot have seen.
func (c *Checker) resolve(i int32, values []string) []int32 {
	o := &c.ops[i]
	var found []int32
	for _, v := range values {
		if why := c.impossible(o.key, v, o.End); why != "" {
			c.thin[i] = o.Kind == Read
			c.thinAir = append(c.thinAir, c.violation(ThinAir, "%s names %s, %s", c.name(i), v, why).at(c, i))
			continue
		}
		if w := c.writer[v]; w != i {
			found = append(found, w)
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// impossible says why nobody can have seen value v of key k by the time end, 0 for any; "" if it is possible.
func (c *Checker) impossible(k int32, v string, end int64) string {
	w, written := c.writer[v]
	switch {
	case !written:
		return "which nobody wrote"
	case c.ops[w].key != k:
		return "which " + c.name(w) + " wrote to another key"
	case c.ops[w].Result == Failed:
		return "which " + c.name(w) + " wrote: it was told that it had no effect"
	case end != 0 && end < c.ops[w].Begin:
		return "which " + c.name(w) + " wrote only afterwards: it began later than this ended"
	}
	return ""
}

// number gives name its number, a fresh one where it has none.
func number[K comparable](numbers map[K]int32, name K) (n int32, fresh bool) {
	n, there := numbers[name]
	if !there {
		n = int32(len(numbers))
		numbers[name] = n
	}
	return n, !there
}

// also says where the other record of two is.
func also(at place) string {
	if s := at.String(); s != "" {
		return " (also at " + s[:len(s)-2] + ")"
	}
	return ""
}

func (o *Op) counts() bool { return o.Kind == Increment || o.Kind == ReadCounter }

func (f *Final) place() string {
	if f.Node == "" {
		return "the store"
	}
	return "node " + f.Node
}
