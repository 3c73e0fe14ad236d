package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"syscall"
	"time"

	"github.com/squall-faas/squall/cache/coded"
	"github.com/squall-faas/squall/fault"
)

const (
	faultBytes   = 10_000_000
	faultReads   = 200
	slowBy       = 200 // milliseconds
	killedEach   = 5   // objects
	killedReads  = 20
	wholeWait    = 2 * time.Minute
	settlingWait = 30 * time.Second
)

// put puts an object of faultBytes under 10+2.
func (r *codedRun) put(ctx context.Context, key string, stored bool) error {
	b := make([]byte, faultBytes)
	_, _ = rand.NewChaCha8([32]byte{2}).Read(b)
	_, err := r.tier.PutBytes(ctx, key, b, coded.PutOptions{Code: codedCodes[0], Stored: stored})
	return err
}

// holders are the nodes that hold an object's data columns, by column.
func (r *codedRun) holders(ctx context.Context, key string) ([]*node, error) {
	s, err := r.tier.Stat(ctx, key)
	if err != nil {
		return nil, err
	}
	ids := map[string]string{}
	for _, l := range r.tier.Lenders() {
		ids[l.Name] = l.ID
	}
	var out []*node
	for _, x := range s.Shards {
		out = append(out, r.lenders[ids[x.Lender]])
	}
	return out, nil
}

// reads reads an object n times.
func (r *codedRun) reads(ctx context.Context, name, what, key string, n int) error {
	dst := make([]byte, faultBytes)
	for range n {
		began := time.Now()
		if _, err := r.tier.GetInto(ctx, key, dst); err != nil {
			return fault.New(fault.CodeOf(err), "case %s, %s: %w", name, what, err)
		}
		r.note(name, what, time.Since(began))
	}
	r.report.Rows = append(r.report.Rows, sampled(name, what, "us", r.took[name+" "+what]))
	return nil
}

// stopped reads an object while one lender of its data is stopped, and another takes 200 ms longer to answer, against the
// same while all are well.
func (r *codedRun) stopped(ctx context.Context) error {
	n := r.size(faultReads, 5)
	r.progress.Begin("lenders that stop and are slow", 2)
	if err := r.put(ctx, "bench/healthy", false); err != nil {
		return err
	}
	if err := r.reads(ctx, caseStopped, "get, all well", "bench/healthy", n); err != nil {
		return err
	}
	r.progress.Step(1)
	if err := r.lend(slowBy); err != nil {
		return err
	}
	slow := r.st.nodes[len(r.st.nodes)-1]
	late := time.Now().Add(settlingWait)
	for i := 0; ; i++ { // until one has data on the slow lender
		key := fmt.Sprintf("bench/stopped/%d", i)
		if err := r.put(ctx, key, false); err != nil {
			return err
		}
		holders, err := r.holders(ctx, key)
		if err != nil {
			return err
		}
		at := slices.Index(holders[:codedCodes[0].Data], slow)
		if at < 0 {
			if time.Now().After(late) {
				return fault.New(fault.Internal, "no object was given to the slow lender")
			}
			if err := r.tier.Delete(ctx, key); err != nil {
				return err
			}
			continue
		}
		victim := holders[(at+1)%codedCodes[0].Data]
		if err := syscall.Kill(victim.pid(), syscall.SIGSTOP); err != nil {
			return fault.New(fault.Internal, "stop a lender: %w", err)
		}
		err = r.reads(ctx, caseStopped, "get, one stopped, one slow", key, n)
		_ = syscall.Kill(victim.pid(), syscall.SIGCONT) // it ends in any case
		if err != nil {
			return err
		}
		break
	}
	well, ill := r.report.Row(caseStopped, "get, all well"), r.report.Row(caseStopped, "get, one stopped, one slow")
	r.report.ratio("stopped_p99_over_healthy", ill, well, func(x *Row) float64 { return x.P99 })
	r.report.ratio("stopped_p50_over_healthy", ill, well, p50)
	r.progress.Step(1)
	slow.stop()
	return nil
}

// killed kills one, two and three of the lenders that hold an object's data, and measures the first read, those that follow,
// and until all objects have all their columns again. The objects are stored, so three are survived too.
func (r *codedRun) killed(ctx context.Context) error {
	r.progress.Begin("lenders that are killed", 3)
	for n := 1; n <= 3; n++ {
		name := numbered(caseKilled, n)
		if !r.wants(name) {
			continue
		}
		var keys []string
		for i := range killedEach {
			keys = append(keys, fmt.Sprintf("bench/killed/%d/%d", n, i))
			if err := r.put(ctx, keys[i], true); err != nil {
				return err
			}
		}
		holders, err := r.holders(ctx, keys[0])
		if err != nil {
			return err
		}
		before, err := r.shards(ctx, keys)
		if err != nil {
			return err
		}
		for _, h := range holders[:n] {
			h.kill()
		}
		began := time.Now()
		if err := r.reads(ctx, name, "first get", keys[0], 1); err != nil {
			return err
		}
		if err := r.reads(ctx, name, "get", keys[0], r.size(killedReads, 3)); err != nil {
			return err
		}
		if err := r.whole(ctx, keys); err != nil {
			return err
		}
		took := time.Since(began)
		after, err := r.shards(ctx, keys)
		if err != nil {
			return err
		}
		var rebuilt int64
		for i := range after {
			if after[i].Lender != before[i].Lender {
				rebuilt += after[i].Bytes
			}
		}
		r.report.Rows = append(r.report.Rows,
			Row{Case: name, Metric: "until all is held again", Unit: "ms", P50: float64(took.Milliseconds()), N: 1},
			Row{Case: name, Metric: "bytes rebuilt", Unit: "MB", P50: float64(rebuilt) / 1e6, N: 1})
		for range n {
			if err := r.lend(0); err != nil {
				return err
			}
		}
		if err := r.tier.Settle(ctx); err != nil {
			return err
		}
		r.progress.Step(1)
	}
	return nil
}

// shards are those of all objects, by object and column.
func (r *codedRun) shards(ctx context.Context, keys []string) ([]coded.Shards, error) {
	var out []coded.Shards
	for _, key := range keys {
		s, err := r.tier.Stat(ctx, key)
		if err != nil {
			return nil, err
		}
		out = append(out, s.Shards...)
	}
	return out, nil
}

// whole waits until objects have all their columns.
func (r *codedRun) whole(ctx context.Context, keys []string) error {
	late := time.Now().Add(wholeWait)
	for _, key := range keys {
		for {
			s, err := r.tier.Stat(ctx, key)
			if err != nil {
				return err
			}
			if !slices.ContainsFunc(s.Shards, func(x coded.Shards) bool { return x.State != "whole" }) {
				break
			}
			if time.Now().After(late) {
				return fault.New(fault.Unavailable, "object %s is not whole after %v", key, wholeWait)
			}
			pause := time.NewTimer(5 * time.Millisecond)
			select {
			case <-pause.C:
			case <-ctx.Done():
				pause.Stop()
				return fault.From(context.Cause(ctx))
			}
		}
	}
	return nil
}
