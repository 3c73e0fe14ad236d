package load

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/ycsb"
)

// Integrity is what a run says of the target's promises.
type Integrity struct {
	Reads       int64  `json:"reads"`      // operations that read and were verified
	Mismatches  int64  `json:"mismatches"` // records that were damaged, or another key's
	Missing     int64  `json:"missing"`    // records that a read did not find
	Written     int64  `json:"written"`    // keys that were written, or may have been, and are read back
	LostWrites  int64  `json:"lost_writes"`
	Wrong       int64  `json:"wrong_bytes"`   // keys that read back as something that nobody wrote
	Counters    int64  `json:"counters"`      // counters that were counted, and are read back
	LostEffects int64  `json:"lost_effects"`  // acknowledged increments that a counter does not have
	Duplicates  int64  `json:"duplicates"`    // increments that a counter has too many
	ReadBack    bool   `json:"read_back"`     // false: the run did not come to it
	Why         string `json:"why,omitempty"` // it did not
	// Examples are some of what was found.
	Examples []string `json:"examples,omitempty"`
}

// Sound reports whether nothing was found.
func (i *Integrity) Sound() bool {
	return i.Mismatches+i.LostWrites+i.Wrong+i.LostEffects+i.Duplicates == 0
}

const (
	readBackBatch = 200 // keys
	readBackWait  = 5 * time.Minute
	maxExamples   = 10
)

func (i *Integrity) example(format string, args ...any) {
	if len(i.Examples) < maxExamples {
		i.Examples = append(i.Examples, fmt.Sprintf(format, args...))
	}
}

// readCounters takes the counters' values before the run: they go on from run to run.
func (r *runner) readCounters(ctx context.Context) error {
	if r.Load || r.Workload.Mix[ycsb.Count] == 0 {
		return nil
	}
	r.base = make([]int64, r.Workload.Counters)
	for n := range r.base {
		var err error
		if r.base[n], err = r.Target.Counter(ctx, r.Workload.CounterKey(int64(n))); err != nil {
			return err
		}
	}
	return nil
}

// judge adds up what reads have found and, unless the run was cut off, reads back what was acknowledged.
func (r *runner) judge(ctx context.Context, total *recorder) *Integrity {
	out := &Integrity{}
	for k, o := range total.ops {
		if o != nil && reads(ycsb.Kind(k)) {
			out.Reads += o.ops
			out.Mismatches += o.damaged
			out.Missing += o.missing
		}
	}
	if ctx.Err() != nil {
		out.Why = "the run was interrupted"
		return out
	}
	ctx, cancel := context.WithTimeout(ctx, readBackWait)
	defer cancel()
	err := r.readRecords(ctx, out)
	if err == nil {
		err = r.countBack(ctx, out)
	}
	out.ReadBack = err == nil
	if err != nil {
		out.Why = fault.From(err).Error()
	}
	return out
}

// settlePause is between two looks at what has not settled.
const settlePause = 100 * time.Millisecond

// readRecords reads back what was written, and what looks lost again until it may no longer be on its way.
func (r *runner) readRecords(ctx context.Context, out *Integrity) error {
	records := r.ledger.records()
	out.Written = int64(len(records))
	for late := time.Now().Add(r.traits.Settle); ; {
		final := !time.Now().Before(late)
		lost, err := r.readOnce(ctx, records, out, final)
		if err != nil || len(lost) == 0 || final {
			return err
		}
		records = lost
		if err := pause(ctx, settlePause); err != nil {
			return err
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return fault.From(ctx.Err())
	}
}

// readOnce reads records and gives those that have lost a write; they are counted where it is final.
func (r *runner) readOnce(ctx context.Context, records []int64, out *Integrity, final bool) (lost []int64, err error) {
	for part := range slices.Chunk(records, readBackBatch) {
		keys := make([]string, len(part))
		for i, n := range part {
			keys[i] = r.Workload.Key(n)
		}
		data, err := r.Target.Stored(ctx, keys)
		if err != nil {
			return nil, err
		}
		for i, n := range part {
			v := ycsb.Version(0)
			if data[i] != nil {
				if v, err = r.Workload.Record.Same(keys[i], data[i]); err != nil {
					out.Wrong++
					out.example("%v", err)
					continue
				}
			}
			if r.ledger.kept(n, v, data[i] != nil) {
				continue
			}
			lost = append(lost, n)
			switch {
			case !final:
				continue
			case data[i] == nil:
				out.example("record %d, key %s: a write was acknowledged, and nothing is there", n, keys[i])
			default:
				out.example("record %d, key %s: version %x is there, and an acknowledged write that followed it is not", n, keys[i], uint64(v))
			}
			out.LostWrites++
		}
	}
	return lost, nil
}

// countBack reads back the counters that were counted, likewise.
func (r *runner) countBack(ctx context.Context, out *Integrity) error {
	late := time.Now().Add(r.traits.Settle)
	for n := range r.base {
		if !r.ledger.touched(int64(n)) {
			continue
		}
		out.Counters++
		for {
			final := !time.Now().Before(late)
			value, err := r.Target.Counter(ctx, r.Workload.CounterKey(int64(n)))
			if err != nil {
				return err
			}
			lost, twice := r.ledger.counted(int64(n), value-r.base[n])
			if lost > 0 && !final {
				if err := pause(ctx, settlePause); err != nil {
					return err
				}
				continue
			}
			out.LostEffects += lost
			out.Duplicates += twice
			if lost+twice > 0 {
				out.example("counter %d: %d increments are missing, %d are too many", n, lost, twice)
			}
			break
		}
	}
	return nil
}
