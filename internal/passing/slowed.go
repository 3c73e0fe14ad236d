package passing

import (
	"slices"
	"time"

	"github.com/squall-faas/squall/dag/planner"
)

// Slowed is a truth in which everything takes by times as long.
func (t *Truth) Slowed(by float64) *Truth {
	s := *t
	d := func(d time.Duration) time.Duration { return time.Duration(float64(d) * by) }
	s.Work = slices.Clone(t.Work)
	for i := range s.Work {
		w := &s.Work[i]
		w.Took, w.Cold, w.Levels = d(w.Took), d(w.Cold), slices.Clone(w.Levels)
		for k := range w.Levels {
			w.Levels[k].Took = d(w.Levels[k].Took)
		}
	}
	f := &s.Fleet
	f.Executors = slices.Clone(f.Executors)
	for k := range f.Executors {
		e := &f.Executors[k]
		e.Backlog, e.Out, e.In, e.Memory, e.Disk = d(e.Backlog), e.Out/by, e.In/by, e.Memory/by, e.Disk/by
	}
	f.Links = nil
	for k := range t.Fleet.Links {
		f.Links = append(f.Links, slices.Clone(t.Fleet.Links[k]))
		for l := range f.Links[k] {
			// With the latency, too, what a lossy link carries gets less by as much.
			f.Links[k][l] = planner.Link{Bandwidth: f.Links[k][l].Bandwidth / by, Latency: d(f.Links[k][l].Latency)}
		}
	}
	f.Store.Write, f.Store.Read, f.Bus.Bandwidth = f.Store.Write/by, f.Store.Read/by, f.Bus.Bandwidth/by
	f.Store.WriteLatency, f.Store.ReadLatency, f.Bus.Latency = d(f.Store.WriteLatency), d(f.Store.ReadLatency), d(f.Bus.Latency)
	return &s
}
