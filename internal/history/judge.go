package history

import (
	"cmp"
	"slices"
)

// verdicts are how the reads of a past stand, by node.
type verdicts struct {
	*past
	session []stale // against what their session knew before
	cut     []stale // against all that their run read anywhere
	node    []stale // against what their executor node had returned before
}

// against says what reads are held against: those of the operations that it names; nil names none.
type against struct {
	session, cut, node func(i int32) bool
}

// judge holds reads against their past.
func judge(g *graph, a against) *verdicts {
	of := func(f func(i int32) bool) func(n int32) bool {
		return func(n int32) bool {
			i := g.op[n]
			o := &g.c.ops[i]
			return f != nil && o.Kind == Read && o.Result == OK && !g.c.thin[i] && f(i)
		}
	}
	session, cut, node := of(a.session), of(a.cut), of(a.node)
	runs, lives := g.readsByRun(cut), g.readsByNode(node)
	last := make([]int32, len(g.op))
	for _, r := range runs {
		for _, n := range r.reads {
			last[n] = r.last
		}
	}
	for _, l := range lives {
		for at, n := range l.reads {
			last[n] = max(last[n], l.last[l.ended[at]])
		}
	}
	v := &verdicts{past: newPast(g,
		func(n int32) bool { return session(n) || cut(n) || node(n) },
		func(n int32) int32 { return last[n] })}
	for _, s := range []*[]stale{&v.session, &v.cut, &v.node} {
		*s = slices.Repeat([]stale{{by: -1}}, len(g.op))
	}
	v.walk(func(b *block, n int32, k *known) {
		if session(n) {
			b.note(&v.session[n], n, k, func(version int32) int32 { return b.outdater(version, g.session.of(n), nil) })
		}
	}, func(b *block) {
		b.judgeRuns(runs, cut, v.cut)
		b.judgeLives(lives, node, v.node)
	})
	return v
}

// runReads is what one run read.
type runReads struct {
	reads []int32
	saw   []int32 // nodes of writes of others
	last  int32   // of saw
}

// readsByRun sorts the reads that of names by their run's number.
func (g *graph) readsByRun(of func(n int32) bool) map[int32]*runReads {
	runs := map[int32]*runReads{}
	for n := range int32(len(g.op)) {
		if !of(n) {
			continue
		}
		run := g.c.ops[g.op[n]].run
		r := runs[run]
		if r == nil {
			r = &runReads{}
			runs[run] = r
		}
		r.reads = append(r.reads, n)
		for _, w := range g.saw.of(n) {
			if g.c.ops[g.op[w]].run != run {
				r.saw = append(r.saw, w)
				r.last = max(r.last, w)
			}
		}
	}
	return runs
}

// judgeRuns holds each read of this block against all that its run read: without what the run wrote itself, which it may
// well have written after it read something older.
func (b *block) judgeRuns(runs map[int32]*runReads, of func(n int32) bool, verdict []stale) {
	all := map[int32]*known{} // of a run
	for _, n := range b.readers {
		if !of(n) {
			continue
		}
		run := b.c.ops[b.op[n]].run
		own := func(n int32) bool { return b.c.ops[b.op[n]].run == run }
		r, k := runs[run], all[run]
		if k == nil {
			k = &known{}
			all[run] = k
			for _, w := range r.saw {
				if w >= b.start {
					k.add(&b.after[w])
				}
			}
		}
		if !slices.ContainsFunc(b.saw.of(n), own) {
			b.note(&verdict[n], n, k, func(version int32) int32 { return b.outdater(version, r.saw, own) })
		}
	}
}

// life is what one executor node returned.
type life struct {
	reads []int32 // by begin
	ended []int32 // of each read: how many had ended when it began
	byEnd []int32 // the same reads by end
	last  []int32 // of each number of them: the last node that they saw
}

func (g *graph) readsByNode(of func(n int32) bool) []*life {
	c := g.c
	numbers := map[string]int32{}
	var lives []*life
	for n := range int32(len(g.op)) {
		if !of(n) {
			continue
		}
		at, fresh := number(numbers, c.ops[g.op[n]].Node)
		if fresh {
			lives = append(lives, &life{})
		}
		lives[at].reads = append(lives[at].reads, n)
	}
	for _, l := range lives {
		l.byEnd = slices.Clone(l.reads)
		slices.SortFunc(l.reads, func(a, b int32) int { return cmp.Compare(g.op[a], g.op[b]) })
		slices.SortFunc(l.byEnd, func(a, b int32) int { return cmp.Compare(c.ops[g.op[a]].End, c.ops[g.op[b]].End) })
		l.last = make([]int32, len(l.byEnd)+1)
		for i, n := range l.byEnd {
			l.last[i+1] = l.last[i]
			for _, w := range g.saw.of(n) {
				l.last[i+1] = max(l.last[i+1], w)
			}
		}
		ended := 0
		for _, n := range l.reads {
			for ended < len(l.byEnd) && c.ops[g.op[l.byEnd[ended]]].End < c.ops[g.op[n]].Begin {
				ended++
			}
			l.ended = append(l.ended, int32(ended))
		}
	}
	return lives
}

// judgeLives holds each read of this block against all that its node had returned before it began.
func (b *block) judgeLives(lives []*life, of func(n int32) bool, verdict []stale) {
	asked := make(map[int32]bool, len(b.readers))
	for _, n := range b.readers {
		asked[n] = of(n)
	}
	for _, l := range lives {
		var returned known
		ended := int32(0)
		for at, n := range l.reads {
			if !asked[n] {
				continue
			}
			for ; ended < l.ended[at]; ended++ {
				for _, w := range b.saw.of(l.byEnd[ended]) {
					if w >= b.start {
						returned.add(&b.after[w])
					}
				}
			}
			b.note(&verdict[n], n, &returned, func(version int32) int32 {
				for _, m := range slices.Backward(l.byEnd[:ended]) { // the latest that tells
					if by := b.outdater(version, b.saw.of(m), nil); by >= 0 {
						return by
					}
				}
				return -1
			})
		}
	}
}
