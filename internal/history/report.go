package history

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/squall-faas/squall/kvs"
)

// Report says what a history is made of: how much there was to go wrong.
type Report struct {
	Levels    []LevelCount   `json:"levels"` // those that occur, in kvs's order
	Runs      int            `json:"runs"`
	Ops       int            `json:"ops"`
	Keys      int            `json:"keys"`
	Nodes     int            `json:"nodes"`
	Unsettled int            `json:"unsettled"` // keys that were written, and of which no final state was recorded
	Faults    map[string]int `json:"faults"`    // how often each kind was injected
	// MaxWriters is how many writes of one key, by different runs, were under way at the same moment, at most; Contended is
	// how many keys had at least two.
	MaxWriters int            `json:"max_writers"`
	Contended  int            `json:"contended"`
	Anomalies  map[string]int `json:"anomalies"` // see Checker.Anomalies
}

// LevelCount is what happened at one level.
type LevelCount struct {
	Level   string `json:"level"`
	Ops     int    `json:"ops"`
	Reads   int    `json:"reads"` // that succeeded and saw a write
	Writes  int    `json:"writes"`
	Runs    int    `json:"runs"`
	OK      int    `json:"ok"`
	Failed  int    `json:"failed"`
	Unknown int    `json:"unknown"`
	Redone  int    `json:"redone"` // calls that were executed more than once
}

// Report counts.
func (c *Checker) Report() Report {
	r := Report{Runs: len(c.runs), Ops: len(c.ops), Keys: len(c.keys), Faults: map[string]int{}, Anomalies: c.Anomalies()}
	levels := map[kvs.Level]*LevelCount{}
	at := func(l kvs.Level) *LevelCount {
		if levels[l] == nil {
			levels[l] = &LevelCount{Level: l.String()}
		}
		return levels[l]
	}
	nodes := map[string]bool{}
	for i := range c.ops {
		o := &c.ops[i]
		l := at(o.level)
		l.Ops++
		switch o.Kind {
		case Write, Delete, Increment:
			l.Writes++
		case Read, ReadCounter:
			if o.Result == OK && (len(o.Values) > 0 || o.N > 0) {
				l.Reads++
			}
		}
		if o.Node != "" {
			nodes[o.Node] = true
		}
	}
	r.Nodes = len(nodes)
	for i := range c.runs {
		l := at(c.runs[i].level)
		l.Runs++
		switch c.runs[i].outcome {
		case OK:
			l.OK++
		case Failed:
			l.Failed++
		default:
			l.Unknown++
		}
		for _, cl := range c.runs[i].calls {
			if len(c.calls[cl].threads) > 1 {
				l.Redone++
			}
		}
	}
	for _, l := range kvs.Levels() {
		if levels[l] != nil {
			r.Levels = append(r.Levels, *levels[l])
		}
	}
	for _, f := range c.h.Faults {
		r.Faults[f.Kind] += max(f.N, 1)
	}
	for k := range c.keys {
		e := &c.keys[k]
		n := c.writersAtOnce(e)
		r.MaxWriters = max(r.MaxWriters, n)
		if n > 1 {
			r.Contended++
		}
		if e.final == nil && slices.ContainsFunc(e.ops, func(i int32) bool { return c.ops[i].writes() || c.ops[i].Kind == Increment }) {
			r.Unsettled++
		}
	}
	return r
}

// writersAtOnce is how many runs were writing a key at the same moment. A write that never returned counts at its begin
// alone: nobody knows for how long it was under way.
func (c *Checker) writersAtOnce(e *key) (most int) {
	type event struct {
		at  int64
		in  bool
		run int32
	}
	var events []event
	for _, i := range e.ops {
		if o := &c.ops[i]; o.writes() || o.Kind == Increment {
			events = append(events, event{o.Begin, true, o.run}, event{max(o.End, o.Begin), false, o.run})
		}
	}
	slices.SortFunc(events, func(a, b event) int {
		byEntry := 0
		if a.in != b.in {
			byEntry = 1
			if a.in {
				byEntry = -1
			}
		}
		return cmp.Or(cmp.Compare(a.at, b.at), byEntry)
	})
	writing := map[int32]int{}
	for _, v := range events {
		if v.in {
			writing[v.run]++
			most = max(most, len(writing))
		} else if writing[v.run]--; writing[v.run] == 0 {
			delete(writing, v.run)
		}
	}
	return most
}

// Vacuous tells why a history proves little even if nothing in it is wrong; nothing if it proves something.
func (r Report) Vacuous() []string {
	if r.Ops == 0 {
		return []string{"nothing was recorded"}
	}
	var why []string
	if len(r.Faults) == 0 {
		why = append(why, "no fault was injected")
	}
	if r.Contended == 0 {
		why = append(why, "no key had two writers at the same time")
	}
	if r.Unsettled > 0 {
		why = append(why, fmt.Sprintf("of %d keys that were written no final state was recorded, so their writes may be lost", r.Unsettled))
	}
	control := slices.ContainsFunc(r.Levels, func(l LevelCount) bool { return l.Level == kvs.LWW.String() })
	for _, l := range r.Levels {
		level, err := kvs.ParseLevel(l.Level)
		switch {
		case err != nil:
		case level != kvs.Strong && l.OK == 0: // what is strong is so operation by operation
			why = append(why, fmt.Sprintf("no run at %s succeeded", l.Level))
		case l.Writes == 0:
			why = append(why, fmt.Sprintf("nothing was written at %s", l.Level))
		case l.Reads == 0:
			why = append(why, fmt.Sprintf("no read at %s saw a write", l.Level))
		case level == kvs.LWW && len(r.Anomalies) == 0:
			why = append(why, "the runs at lww show no anomaly, so the workload cannot tell the levels apart")
		case control && len(r.Anomalies) > 0 && Counts(level) && r.Anomalies[l.Level] == 0:
			why = append(why, fmt.Sprintf("the runs at lww show nothing that %s rules out, so the workload does not try it", l.Level))
		}
	}
	return why
}
