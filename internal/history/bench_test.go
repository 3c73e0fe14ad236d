package history

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// bulk makes a large history in order: a log of writes, of which every run sees a prefix of its own and its own writes.
// stale of a hundred reads see an older version instead.
func bulk(level string, ops, keys, stale int) *History {
	rng := rand.New(rand.NewPCG(1, 2))
	h := &History{}
	log := make([][]string, keys) // versions of each key, the latest last
	const atOnce = 8
	for now, run := int64(0), 0; len(h.Ops) < ops; run++ {
		name := fmt.Sprintf("run-%d", run)
		own := map[int]string{}
		base := map[int]string{}
		h.Ends = append(h.Ends, End{Run: name, Level: level, Outcome: OK})
		for call := range 3 {
			for seq := range 3 {
				now += 10
				k := rng.IntN(keys)
				o := Op{
					ID: len(h.Ops) + 1, Run: name, Call: string(rune('a' + call)), Seq: seq, Level: level, Key: fmt.Sprintf("{t%d}k%d", k%50, k),
					Node: fmt.Sprintf("n%d", run%atOnce), Begin: now, End: now + 8 + rng.Int64N(20*atOnce), Result: OK,
				}
				if level == "strong" || level == "txn" { // one after the other is simplest
					o.End = now + 5
				}
				if call > 0 {
					o.After = []string{string(rune('a' + call - 1))}
				}
				if _, there := base[k]; !there {
					base[k] = ""
					if n := len(log[k]); n > 0 {
						base[k] = log[k][n-1]
					}
				}
				seen := base[k]
				if w := own[k]; w != "" {
					seen = w
				}
				if n := len(log[k]); n > 0 && rng.IntN(100) < stale {
					seen = log[k][max(0, n-1-rng.IntN(10))]
				}
				var values []string
				if seen != "" {
					values = []string{seen}
				}
				if rng.IntN(3) == 0 {
					id := fmt.Sprintf("w%d", len(h.Ops))
					o.Kind, o.Values, o.Replaces = Write, []string{id}, values
					own[k] = id
					log[k] = append(log[k], id)
				} else {
					o.Kind, o.Values = Read, values
				}
				h.Ops = append(h.Ops, o)
			}
		}
	}
	for k := range log {
		f := Final{Key: fmt.Sprintf("{t%d}k%d", k%50, k)}
		if n := len(log[k]); n > 0 {
			f.Values = log[k][n-1:]
		}
		h.Finals = append(h.Finals, f)
	}
	return h
}

// BenchmarkCheck checks 100,000 operations over 1,000 keys and over 20, all in order; and some where one of ten reads is
// stale.
func BenchmarkCheck(b *testing.B) {
	for _, keys := range []int{20, 1000} {
		for _, level := range allLevels {
			b.Run(fmt.Sprintf("%s/%d-keys", level, keys), func(b *testing.B) {
				if found := benchmarkCheck(b, bulk(level, 100_000, keys, 0)); found > 0 {
					b.Fatalf("%d false alarms", found)
				}
			})
		}
	}
	for _, level := range allLevels {
		b.Run(level+"/stale", func(b *testing.B) {
			b.ReportMetric(float64(benchmarkCheck(b, bulk(level, 100_000, 1000, 10))), "violations")
		})
	}
}

func benchmarkCheck(b *testing.B, h *History) (found int) {
	b.ReportAllocs()
	for b.Loop() {
		c, err := New(h)
		if err != nil {
			b.Fatal(err)
		}
		found = len(c.Check(Options{}))
		if c.Report().Ops != len(h.Ops) {
			b.Fatal("operations are missing from the report")
		}
	}
	return found
}
