package history

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// simulate runs the small system of a level, with one rule of its protocol broken, or none ("").
func simulate(level, bad string, seed uint64, ops int) *History {
	switch level {
	case "lww", "rr":
		return newLastWins(seed, level, bad).generate(ops)
	case "strong":
		return newCells(seed, bad).generate(ops)
	case "txn":
		return newOptimistic(seed, bad).generate(ops)
	}
	return newCausal(seed, level, bad).generate(ops)
}

var allLevels = []string{"lww", "rr", "sk", "mk", "dsc", "strong", "txn"}

// TestCorrectSystemsPass: whatever a correct system does is in order.
func TestCorrectSystemsPass(t *testing.T) {
	for _, level := range allLevels {
		t.Run(level, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				seed := rapid.Uint64().Draw(t, "seed")
				h := simulate(level, "", seed, 50+int(seed%120))
				c, err := New(h)
				if err != nil {
					t.Fatal(err)
				}
				if found := c.Check(Options{}); len(found) > 0 {
					t.Fatalf("false alarm: %v", found)
				}
			})
		})
	}
}

// TestBrokenSystemsAreCaught: a system that breaks one rule of its protocol is caught, by a rule that tells of it.
func TestBrokenSystemsAreCaught(t *testing.T) {
	for _, tc := range []struct {
		level, bad string
		rules      []Rule // at least one of these, and no other
	}{
		{"lww", "the last to arrive wins", []Rule{LostWrite}},
		{"lww", "a node does not hear", []Rule{Diverged}},
		{"lww", "re-executions are counted", []Rule{Counter}},
		{"rr", "no version kept", []Rule{Unrepeatable}},
		{"rr", "own writes forgotten", []Rule{OwnWrite}},
		{"sk", "the last write wins", []Rule{LostWrite, WentBack, ReplacedSibling}},
		{"sk", "siblings never removed", []Rule{ReplacedSibling, WentBack, LostWrite}},
		{"sk", "sessions not carried along", []Rule{WentBack}},
		{"mk", "nodes take keys without what they depend on", []Rule{NodeCut}},
		{"mk", "the last write wins", []Rule{LostWrite, NodeCut, ReplacedSibling}},
		{"dsc", "no snapshot", []Rule{Unrepeatable, MissedDependency, Cut, ReplacedSibling}},
		{"dsc", "snapshots key by key", []Rule{MissedDependency, Cut}},
		{"dsc", "own writes forgotten", []Rule{OwnWrite, MissedDependency, Cut}},
		{"strong", "replicas are read", []Rule{NotLinearizable}},
		{"strong", "writes get lost", []Rule{NotLinearizable}},
		{"strong", "re-executions are counted", []Rule{Counter, NotLinearizable}},
		{"txn", "reads are not checked", []Rule{SingleDependency, AntiDependency}},
		{"txn", "nothing is checked", []Rule{SingleDependency, AntiDependency, InformationCycle, LostWrite}},
		{"txn", "writes are visible at once", []Rule{DirtyWrite, InformationCycle, IntermediateRead, SingleDependency, AntiDependency, LostWrite}},
	} {
		t.Run(tc.level+": "+tc.bad, func(t *testing.T) {
			for seed := range uint64(4) {
				got := rules(check(t, simulate(tc.level, tc.bad, seed, 400)))
				if len(got) == 0 {
					t.Errorf("seed %d: not caught", seed)
				}
				for _, r := range got {
					if !slices.Contains(tc.rules, r) {
						t.Errorf("seed %d: caught by %v, want only of %v", seed, got, tc.rules)
					}
				}
			}
		})
	}
}

// TestLWWShowsAnomalies: the simulated system at lww does what the other levels rule out, and those do not.
func TestLWWShowsAnomalies(t *testing.T) {
	for seed := range uint64(5) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			c, err := New(simulate("lww", "", seed, 2000))
			if err != nil {
				t.Fatal(err)
			}
			got := c.Anomalies()
			for _, l := range []string{"rr", "sk", "mk", "dsc"} {
				if got[l] == 0 {
					t.Errorf("no anomaly of %s: %v", l, got)
				}
			}
			if got["dsc"] < got["rr"] {
				t.Errorf("dsc rules out all that rr does: %v", got)
			}
		})
	}
}
