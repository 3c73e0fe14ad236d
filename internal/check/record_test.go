package check

import (
	"testing"
	"time"

	"github.com/squall-faas/squall/internal/history"
	"github.com/squall-faas/squall/kvs"
)

// TestOutlived: an increment that only a cache has acknowledged may be lost with its node, and not where that lived on.
func TestOutlived(t *testing.T) {
	const s = int64(time.Second)
	perils := []*peril{{"cut", 10 * s, 12 * s}, {"killed", 10 * s, 1 << 62}}
	for _, tc := range []struct {
		name, node, ack string
		at              int64
		want            string
	}{
		{"long before", "killed", "cached", 7 * s, "stored"},
		{"a moment before", "killed", "cached", 9 * s, "cached"},
		{"while it dies", "killed", "cached", 11 * s, "cached"},
		{"while cut off", "cut", "cached", 11 * s, "cached"},
		{"a moment later", "cut", "cached", 13 * s, "cached"},
		{"long after", "cut", "cached", 15 * s, "stored"},
		{"another node", "well", "cached", 11 * s, "stored"},
		{"more than cached", "killed", "durable", 11 * s, "durable"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRecorder()
			r.perils = perils
			o := &history.Op{
				Run: "r", Call: "n0", Node: tc.node, Level: kvs.LWW.String(), Kind: history.Increment, Key: "k", Values: []string{"r/n0"},
				Begin: tc.at, End: tc.at + 1, Result: history.OK, Ack: tc.ack,
			}
			r.ops = []*history.Op{o}
			if got := r.history(nil).Ops[0].Ack; got != tc.want {
				t.Errorf("%s, want %s", got, tc.want)
			}
		})
	}
}
