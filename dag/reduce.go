package dag

import (
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/value"
)

// fold is a Reduce under way: a tree over n values that joins neighbours level by level, and carries the last one of
// an odd level up as it is.
//
//	level 2        ((ab)(cd))         e      step 4 is f(abcd, e)
//	level 1     (ab)        (cd)      e      step 3 is f(ab, cd)
//	level 0    a    b      c    d     e      steps 1 and 2 are f(a, b) and f(c, d)
//
// The tree lies in one slice: position p of level k is at index p<<k, so a result overwrites its left argument and a
// carried value stays where it is. Steps are numbered through, level by level from the left. So a step has the same
// number and arguments in whatever order steps finish, and each value waits for its neighbour only.
type fold struct {
	node   int
	values []value.Value
	steps  []step // by the index of the left argument
}

// step is where the value at an index stands.
type step struct {
	task  // of the step that joins it, as the left one, with its neighbour
	level uint8
}

// beginReduce folds the list, which is present.
func (r *Run) beginReduce(n int) {
	node := &r.g.Nodes[n]
	list, err := r.values[node.Args[0].From].Elements()
	if err != nil {
		r.fail(n, r.locate(fault.From(err), Invocation{Node: n}))
		return
	}
	f := &fold{node: n, values: make([]value.Value, 0, len(list)+1)}
	if node.Initial != nil {
		v, err := node.Initial.Value()
		if err != nil {
			r.fail(n, r.locate(fault.From(err), Invocation{Node: n}))
			return
		}
		f.values = append(f.values, v)
	}
	f.values = append(f.values, list...)
	if len(f.values) == 0 {
		r.fail(n, r.locate(fault.New(fault.InvalidArgument,
			"reduce of an empty list needs an initial value: dag.Initial(x)"), Invocation{Node: n}))
		return
	}
	f.steps = make([]step, len(f.values))
	r.nodes[n].fold = f
	for left := 0; left+1 < len(f.values); left += 2 {
		f.invoke(r, left)
	}
	if len(f.values)%2 == 1 {
		f.rise(r, len(f.values)-1)
	}
}

// width is how many values level k has.
func (f *fold) width(k uint8) int { return (len(f.values) + 1<<k - 1) >> k }

// number is that of the step at index left: all the steps of lower levels come before, which are as many as the
// levels' widths have shrunk.
func (f *fold) number(left int) int {
	k := f.steps[left].level
	return len(f.values) - f.width(k) + left>>k/2 + 1
}

// find gives the index of the left argument of a step that is still to be done and has both its arguments.
func (f *fold) find(item int) (left int, ok bool) {
	if item < 1 || item >= len(f.values) {
		return 0, false
	}
	k := uint8(0)
	for item > len(f.values)-f.width(k+1) {
		k++
	}
	left = (item - 1 - len(f.values) + f.width(k)) * 2 << k
	return left, f.steps[left].level == k && f.steps[left+1<<k].level == k
}

// invoke makes the next try of a step.
func (f *fold) invoke(r *Run, left int) {
	s := &f.steps[left]
	s.state = running
	s.try++
	right := left + 1<<s.level
	r.emit(Command{
		Kind:       Invoke,
		Invocation: Invocation{Node: f.node, Item: f.number(left), Try: int(s.try)},
		Args:       []value.Value{f.values[left], f.values[right]},
		Site:       r.cfg.Self,
	})
}

// rise takes a new value at index i up to the level where it has a neighbour, and joins the two if that is there. The
// value that reaches the top is the result.
func (f *fold) rise(r *Run, i int) {
	s := &f.steps[i]
	for {
		w, p := f.width(s.level), i>>s.level
		if w == 1 {
			r.hold(r.g.NodeSource(f.node), f.values[i])
			return
		}
		if p%2 == 1 || p+1 < w {
			neighbour := (p ^ 1) << s.level
			if f.steps[neighbour].level == s.level {
				f.invoke(r, min(i, neighbour))
			}
			return
		}
		s.level++
	}
}

func (f *fold) finished(r *Run, ev *Event) {
	left, ok := f.find(ev.Invocation.Item)
	if !ok || ev.Site != r.cfg.Self || !f.steps[left].accepts(ev.Invocation.Try) {
		return
	}
	level := f.steps[left].level
	f.values[left], f.values[left+1<<level] = ev.Value, value.Value{}
	f.steps[left] = step{level: level + 1}
	f.rise(r, left)
}

func (f *fold) failed(r *Run, ev *Event) {
	left, ok := f.find(ev.Invocation.Item)
	if ok && ev.Site == r.cfg.Self && f.steps[left].fails(ev.Invocation.Try) {
		r.retry(&f.steps[left].task, ev.Invocation, ev.Err)
	}
}

func (f *fold) timerFired(r *Run, t Timer) {
	if left, ok := f.find(t.Item); ok && f.steps[left].due(t.Try) {
		f.invoke(r, left)
	}
}
