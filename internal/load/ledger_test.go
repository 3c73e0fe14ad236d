package load

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"github.com/squall-faas/squall/internal/ycsb"
)

// TestLedger holds the ledger against the definition: a value may be there if no acknowledged write began after that of the
// value was acknowledged.
func TestLedger(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type write struct{ start, end int64 }
		l := newLedger(1)
		var acked []write
		unknown := map[int]bool{}
		clock := int64(0)
		n := rapid.IntRange(1, 12).Draw(t, "writes")
		for range n {
			start := max(0, clock-int64(rapid.IntRange(0, 6).Draw(t, "back")))
			end := max(clock, start) + int64(rapid.IntRange(0, 3).Draw(t, "took"))
			clock = end // acknowledgements come in order
			acked = append(acked, write{start, end})
			if rapid.IntRange(0, 4).Draw(t, "fails") == 0 {
				unknown[len(acked)] = true
				l.fail(1, ycsb.Version(len(acked)))
				continue
			}
			l.ack(1, ycsb.Version(len(acked)), start, end)
		}
		any := len(unknown) < len(acked)
		for v := 1; v <= len(acked); v++ {
			want := true
			for i, w := range acked {
				if !unknown[v] && !unknown[i+1] && w.start > acked[v-1].end {
					want = false
				}
			}
			if got := l.kept(1, ycsb.Version(v), true); got != want {
				t.Fatalf("version %d of %v, unknown %v: %v, want %v", v, acked, unknown, got, want)
			}
		}
		if l.kept(1, 0, false) == any || l.kept(1, 999, true) == any {
			t.Fatalf("that nothing, or an older value, is there: %v, unknown %v", acked, unknown)
		}
	})
}

// TestIntegrityFinds holds that each way of breaking a promise is found.
func TestIntegrityFinds(t *testing.T) {
	w := workload(t, "recordcount=200", "operationcount=3000", "dataintegrity=true", "readproportion=0.5", "updateproportion=0.3", "squall.countproportion=0.2")
	for name, tc := range map[string]struct {
		does  func(ctx context.Context, f *fake, op *Op) error
		found func(i *Integrity) bool
	}{
		"nothing":       {func(ctx context.Context, f *fake, op *Op) error { return f.Memory.do(ctx, op) }, (*Integrity).Sound},
		"a lost write":  {func(ctx context.Context, f *fake, op *Op) error { return unless(ctx, op.Kind == ycsb.Update, f, op) }, func(i *Integrity) bool { return i.LostWrites > 0 && i.Duplicates == 0 }},
		"a lost effect": {func(ctx context.Context, f *fake, op *Op) error { return unless(ctx, op.Kind == ycsb.Count, f, op) }, func(i *Integrity) bool { return i.LostEffects > 0 && i.LostWrites == 0 }},
		"an effect twice": {func(ctx context.Context, f *fake, op *Op) error {
			if op.Kind == ycsb.Count && rand.IntN(50) == 0 {
				if err := f.Memory.do(ctx, op); err != nil {
					return err
				}
			}
			return f.Memory.do(ctx, op)
		}, func(i *Integrity) bool { return i.Duplicates > 0 && i.LostEffects == 0 }},
		"another record": {func(ctx context.Context, f *fake, op *Op) error {
			if op.Kind == ycsb.Read {
				return f.get(ctx, op, w.Key((op.Record+1)%200))
			}
			return f.Memory.do(ctx, op)
		}, func(i *Integrity) bool { return i.Mismatches > 0 && i.LostWrites == 0 }},
		"a changed write": {func(ctx context.Context, f *fake, op *Op) error {
			if op.Kind == ycsb.Update {
				op.Value[len(op.Value)-1] ^= 1
			}
			return f.Memory.do(ctx, op)
		}, func(i *Integrity) bool { return i.Wrong > 0 && i.Mismatches > 0 }},
		"errors": {func(ctx context.Context, f *fake, op *Op) error {
			err := f.Memory.do(ctx, op)
			if op.Kind != ycsb.Read && rand.IntN(10) == 0 {
				err = fmt.Errorf("the answer is lost")
			}
			return err
		}, (*Integrity).Sound},
	} {
		f := newFake(t, nil)
		f.do = func(ctx context.Context, _ int, ops []Op) error {
			for i := range ops {
				ops[i].Err = tc.does(ctx, f, &ops[i])
			}
			return nil
		}
		if _, err := Do(t.Context(), Config{Workload: w, Target: f.Memory, Load: true}); err != nil {
			t.Fatal(err)
		}
		out, err := Do(t.Context(), Config{Workload: w, Target: f, Threads: 4})
		if err != nil {
			t.Fatal(err)
		}
		if !out.Integrity.ReadBack || !tc.found(out.Integrity) {
			t.Errorf("%s: %+v", name, out.Integrity)
		}
	}
}

// TestIntegrityOfTheLoad holds that what the load phase has lost is found there: to the run it is a record that was never written.
func TestIntegrityOfTheLoad(t *testing.T) {
	w := workload(t, "recordcount=200", "dataintegrity=true", "squall.countproportion=0.2", "readproportion=0.8", "updateproportion=0")
	for _, drops := range []bool{false, true} {
		f := newFake(t, nil)
		f.do = func(ctx context.Context, _ int, ops []Op) error {
			for i := range ops {
				ops[i].Err = unless(ctx, drops, f, &ops[i])
			}
			return nil
		}
		out, err := Do(t.Context(), Config{Workload: w, Target: f, Load: true, Threads: 4})
		if err != nil {
			t.Fatal(err)
		}
		if i := out.Integrity; !i.ReadBack || i.Written != 200 || i.Sound() == drops || (i.LostWrites > 0) != drops {
			t.Errorf("with losses %v: %+v", drops, i)
		}
	}
}

// unless drops every tenth operation of a kind, and says that it is done: of some two hundred keys enough lose their last.
func unless(ctx context.Context, of bool, f *fake, op *Op) error {
	if of && rand.IntN(10) == 0 {
		return nil
	}
	return f.Memory.do(ctx, op)
}
