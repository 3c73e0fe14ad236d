package bench

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/history"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/kvs/version"
	"github.com/squall-faas/squall/value"
)

// judge reports a level: what its runs took, carried and did wrong. It gives the number of broken promises.
func (r *consistencyRun) judge(ctx context.Context, l *levelRun) (violations int, err error) {
	h, err := r.history(ctx, l)
	if err != nil {
		return 0, err
	}
	c, err := history.New(h)
	if err != nil {
		return 0, err
	}
	for _, v := range c.Check(history.Options{}) {
		violations++
		if violations <= mostShown {
			r.report.Env["violation_"+l.level.String()] = v.String()
		}
	}
	runs, failed, again := 0, 0, 0
	first := map[string]int{} // executions of each run's first call
	for _, o := range h.Ops {
		if o.Node != "preload" && o.Call == callName(0) {
			first[o.Run] = max(first[o.Run], o.Attempt)
		}
	}
	for _, n := range first {
		again += n
	}
	for _, e := range l.ends {
		runs++
		if e.Outcome != history.OK {
			failed++
		}
	}
	row := func(metric, unit string, x float64) {
		r.report.Rows = append(r.report.Rows, Row{Case: l.load.name, Metric: metric, Unit: unit, P50: x, N: runs})
	}
	r.report.Rows = append(r.report.Rows, l.load.row())
	row("session metadata", "bytes a run", float64(l.sent)/float64(runs))
	row("began anew", "times a run", float64(again)/float64(runs))
	row("failed", "share", float64(failed)/float64(runs))
	row("promises broken", "runs", float64(violations))
	if l.level != kvs.LWW {
		return violations, nil
	}
	anomalies := c.Anomalies()
	for _, level := range []kvs.Level{kvs.SingleKey, kvs.MultiKey, kvs.DistributedSession, kvs.RepeatableRead} {
		n := float64(anomalies[level.String()]) * tableRuns / float64(runs-failed)
		row("ruled out by "+level.String(), "of 4,000", n)
		r.report.Ratios["anomalies_"+level.String()] = n
	}
	return violations, nil
}

// mostShown is how many broken promises of a level are told in words.
const mostShown = 1

// history puts together what was recorded at a level.
func (r *consistencyRun) history(ctx context.Context, l *levelRun) (*history.History, error) {
	h := &history.History{Ends: l.ends}
	ends := map[string]history.End{}
	for _, e := range l.ends {
		ends[e.Run] = e
	}
	for i := range stepExecutors {
		got, err := callAt[harvested](ctx, r.st, kvs.LWW, harvestName(i), l.level.String())
		if err != nil {
			return nil, err
		}
		var ops []history.Op
		if err := json.Unmarshal(got.Ops, &ops); err != nil {
			return nil, fault.New(fault.Internal, "what was recorded at %v: %w", l.level, err)
		}
		h.Ops = append(h.Ops, ops...)
		l.sent += got.Sent
	}
	// Everything is stored by now, so whatever was acknowledged has to be there, also what was only cached then: no Ack.
	now := time.Now().UnixNano()
	touched := map[string]bool{}
	for i := range h.Ops {
		o := &h.Ops[i]
		touched[o.Key] = true
		// What a function kept back until it returned is written only if that attempt counted, some time later.
		if kept := l.level.Causal() || l.level == kvs.Transaction; kept && o.Kind == history.Write && o.Result == history.OK {
			e, ended := ends[o.Run]
			n, counted := e.Attempts[o.Call]
			switch {
			case ended && e.Outcome == history.OK && counted && n == o.Attempt:
				o.End = now
			case ended && l.level == kvs.Transaction: // it met a conflict, and was dropped whole
				o.Result = history.Failed
			default:
				o.Result, o.End = history.Unknown, 0
			}
		}
	}
	for _, o := range l.known {
		if touched[o.Key] {
			h.Ops = append(h.Ops, o)
			h.Ends = append(h.Ends, history.End{Run: o.Run, Level: o.Level, Outcome: history.OK})
		}
	}
	for i := range h.Ops {
		h.Ops[i].ID = i + 1
	}
	var err error
	h.Finals, err = r.finals(ctx, slices.Sorted(maps.Keys(touched)))
	return h, err
}

// finals is what the store holds.
func (r *consistencyRun) finals(ctx context.Context, keys []string) ([]history.Final, error) {
	var out []history.Final
	for part := range slices.Chunk(keys, 500) {
		names := make([]kvs.Key, len(part))
		for i, k := range part {
			names[i] = kvs.Key(k)
		}
		entries, err := r.st.backbone.User.GetMany(ctx, names)
		if err != nil {
			return nil, err
		}
		for i, e := range entries {
			e.Key = names[i]
			v, err := version.Open(e)
			if err != nil {
				return nil, err
			}
			f := history.Final{Key: part[i]}
			for _, x := range v.Siblings() {
				w, err := value.As[string](x)
				if err != nil {
					return nil, err
				}
				f.Values = append(f.Values, w)
			}
			out = append(out, f)
		}
	}
	return out, nil
}
