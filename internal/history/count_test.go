package history

import (
	"math"
	"testing"

	"github.com/anishathalye/porcupine"
	"pgregory.net/rapid"
)

// TestCountsAgreeWithSearch compares the decision about counters with porcupine's.
func TestCountsAgreeWithSearch(t *testing.T) {
	yes, no := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		var ops []porcupine.Operation
		for range rapid.IntRange(1, 9).Draw(t, "ops") {
			begin := rapid.Int64Range(0, 20).Draw(t, "begin")
			end := begin + rapid.Int64Range(0, 8).Draw(t, "length")
			s := step{Increment, 0}
			if rapid.Bool().Draw(t, "read") {
				s = step{ReadCounter, rapid.Int64Range(0, 4).Draw(t, "n")}
			} else if rapid.IntRange(0, 3).Draw(t, "unknown") == 0 {
				end = math.MaxInt64
			}
			ops = append(ops, porcupine.Operation{Input: s, Call: begin, Return: end})
		}
		want := porcupine.CheckOperations(cell(true), ops)
		if got := countsInOrder(ops); got != want {
			t.Fatalf("%v, porcupine says %v: %v", got, want, ops)
		}
		if want {
			yes++
		} else {
			no++
		}
	})
	if yes == 0 || no == 0 {
		t.Errorf("%d are linearizable, %d are not: the test needs both", yes, no)
	}
}
