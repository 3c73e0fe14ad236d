package check_test

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/squall-faas/squall/cache"
	"github.com/squall-faas/squall/internal/check"
	"github.com/squall-faas/squall/internal/history"
	"github.com/squall-faas/squall/kvs"
)

// runs is how many runs a level gets in a test; SQUALL_RUNS says another number (make check-long: 10,000).
func runs(t *testing.T) int {
	if s := os.Getenv("SQUALL_RUNS"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	return 400
}

func seed(t *testing.T) uint64 {
	if s := os.Getenv("SQUALL_SEED"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	n := rand.Uint64() >> 1
	t.Logf("SQUALL_SEED=%d", n)
	return n
}

// judged runs a workload in virtual time and judges its history.
func judged(t *testing.T, cfg check.Config) (history.Report, []history.Violation) {
	t.Helper()
	var h *history.History
	synctest.Test(t, func(t *testing.T) {
		var err error
		if h, err = check.Run(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
	})
	c, err := history.New(h)
	if err != nil {
		t.Fatal(err)
	}
	wrong := c.Check(history.Options{})
	if dir := os.Getenv("SQUALL_HISTORY"); dir != "" && len(wrong) > 0 {
		keep(t, dir, h)
	}
	return c.Report(), wrong
}

// keep writes a history to a file, for squall check.
func keep(t *testing.T, dir string, h *history.History) {
	t.Helper()
	f, err := os.CreateTemp(dir, "*.history")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if err := check.Save(h, f); err != nil {
		t.Fatal(err)
	}
	t.Logf("the history is in %s", f.Name())
}

// TestLevels has every level keep its promise while nodes are killed and cut off, pushes are lost, and the store goes away.
func TestLevels(t *testing.T) {
	for _, level := range kvs.Levels() {
		t.Run(level.String(), func(t *testing.T) {
			cfg := check.Config{Levels: []kvs.Level{level}, Runs: runs(t), Seed: seed(t), Faults: true, Latency: 200 * time.Microsecond}
			if level == kvs.Strong {
				cfg.Runs = max(cfg.Runs, 1000) // they are short: of 400 it may be that no two write a key at once
			}
			if os.Getenv("SQUALL_LOG") != "" {
				cfg.Logger = slog.New(slog.NewTextHandler(os.Stderr, nil))
			}
			report, wrong := judged(t, cfg)
			t.Logf("%+v", report)
			for i, v := range wrong {
				if i == 5 {
					t.Errorf("and %d more", len(wrong)-i)
					break
				}
				t.Error(v)
			}
			for _, why := range report.Vacuous() {
				t.Errorf("it proves nothing: %s", why)
			}
			if f := report.Faults; f["kill"] == 0 || f["zombie"]+f["partition"] == 0 || f["lost push"] == 0 {
				t.Errorf("it proves little: nobody was killed, or cut off, or missed a push: %v", f)
			}
		})
	}
}

// TestMutations disables one rule of the protocol after the other: each time the history must show the very promise broken
// that the rule is there for. A checker that sees nothing then would see nothing ever.
func TestMutations(t *testing.T) {
	for _, m := range []struct {
		rule  cache.Rule
		level kvs.Level
		want  []history.Rule // at least one of them
		key   string         // what its key begins with
	}{
		{cache.BreakCompareAndSet, kvs.SingleKey, []history.Rule{history.LostWrite}, ""},
		{cache.BreakCompareAndSet, kvs.LWW, []history.Rule{history.Counter}, "counter/stored/"},
		{cache.BreakCompareAndSet, kvs.LWW, []history.Rule{history.Counter}, "counter/cached/"},
		{cache.BreakSnapshot, kvs.RepeatableRead, []history.Rule{history.Unrepeatable}, ""},
		{cache.BreakSnapshot, kvs.RepeatableRead, []history.Rule{history.OwnWrite}, ""},
		{cache.BreakSiblings, kvs.SingleKey, []history.Rule{history.LostWrite}, ""},
		{cache.BreakCover, kvs.MultiKey, []history.Rule{history.NodeCut}, ""},
		{cache.BreakDependencies, kvs.SingleKey, []history.Rule{history.WentBack}, ""},
		{cache.BreakDependencies, kvs.DistributedSession, []history.Rule{history.MissedDependency, history.Cut}, ""},
		{cache.BreakProof, kvs.Strong, []history.Rule{history.NotLinearizable}, ""},
		{cache.BreakValidation, kvs.Transaction, []history.Rule{history.SingleDependency, history.AntiDependency, history.InformationCycle, history.DirtyWrite}, ""},
		{cache.BreakOnce, kvs.LWW, []history.Rule{history.Counter}, ""},
	} {
		t.Run(fmt.Sprint(m.rule, " ", m.level, " ", m.want[0], " ", m.key), func(t *testing.T) {
			first := seed(t)
			for try := range uint64(8) {
				_, wrong := judged(t, check.Config{
					Levels: []kvs.Level{m.level}, Runs: 400, Seed: first + try, Faults: true, Break: m.rule, Latency: 200 * time.Microsecond,
				})
				for _, v := range wrong {
					if slices.Contains(m.want, v.Rule) && strings.HasPrefix(v.Key, m.key) {
						t.Logf("caught at try %d, %d violations: %v", try+1, len(wrong), v)
						return
					}
				}
				if len(wrong) > 0 {
					t.Logf("seen so far: %v", wrong[0])
				}
			}
			t.Errorf("nobody noticed that %s is disabled: want one of %v", m.rule, m.want)
		})
	}
}
