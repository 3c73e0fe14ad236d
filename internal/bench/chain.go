package bench

import (
	"context"
	"encoding/binary"
	"strconv"

	"github.com/squall-faas/squall/client"
	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/fault"
)

// Chain is the suite of `squall bench chain`: what one more function costs a chain whose functions pass a value on, by the
// size of the value, where all run on one executor and where every hop crosses to another (SAND §7, SONIC §2). The value is
// made by the first function and judged by the last, so that nothing large travels between client and cluster. The zero
// Chain, with a Launch, measures everything.
type Chain struct{ Options }

var chainTargets = []Target{{Ratio: "hop_local_largest_over_smallest", Limit: 1.5}}

// Names of cases; each has a number, the bytes of the value.
const (
	caseHopLocal = "hop_local" // all functions on one executor
	caseHopApart = "hop_apart" // every hop goes from one executor to the other
)

// Functions of the suite. Those that pass on are one func, under a name that one executor each has.
const (
	fnChainMake  = "chain-make"
	fnChainPass  = "chain-pass"
	fnChainCross = "chain-cross"
	fnChainJudge = "chain-judge"
)

const (
	chainRounds = 8
	quickChain  = 1 << 20 // the largest value of a short run
)

// chainScale is a size of the value, with how many calls of it make a case.
type chainScale struct{ bytes, calls int }

var (
	chainScales = []chainScale{{1 << 10, 2000}, {64 << 10, 1500}, {1 << 20, 200}, {16 << 20, 24}, {48 << 20, 16}}
	// hopLengths are functions between the first and the last: odd, so that both ends are on one executor, and so many more
	// where one takes little that what it takes is seen beside what differs from call to call.
	hopLengths = map[string][]int{caseHopLocal: {1, 9, 41}, caseHopApart: {1, 3, 9}}
)

// Run measures, and ends all that it started. A value that has changed on its way is an error.
func (c Chain) Run(ctx context.Context) (*Report, error) {
	return c.run(ctx, "chain", []string{caseHopLocal, caseHopApart}, chainTargets, func(ctx context.Context, own *suite) error {
		st, err := own.stage(ctx, "chain", own.storeDir("nats-chain"))
		if err != nil {
			return err
		}
		defer st.close()
		return own.chains(ctx, st)
	})
}

func (s *suite) chains(ctx context.Context, st *stage) error {
	for name, functions := range map[string][]string{"chain-a": {fnChainMake, fnChainPass, fnChainJudge}, "chain-b": {fnChainCross}} {
		if _, err := st.executor(nodeConfig{Name: name, Functions: functions}); err != nil {
			return err
		}
	}
	for name, next := range map[string]string{caseHopLocal: fnChainPass, caseHopApart: fnChainCross} {
		for _, n := range hopLengths[name] {
			g, err := hopsOf(name, next, n)
			if err != nil {
				return err
			}
			if _, err := st.client.RegisterDAG(ctx, g); err != nil {
				return err
			}
		}
	}
	var rows []Row
	for _, scale := range chainScales {
		for _, name := range []string{caseHopLocal, caseHopApart} {
			if !s.wants(numbered(name, scale.bytes)) || s.Quick && scale.bytes > quickChain {
				continue
			}
			row, err := s.hop(ctx, st, name, scale)
			if err != nil {
				return err
			}
			rows = append(rows, row...)
		}
	}
	s.report.Rows = rows
	smallest, largest := chainScales[0].bytes, chainScales[len(chainScales)-1].bytes
	for _, name := range []string{caseHopLocal, caseHopApart} {
		s.report.figure(name+"_smallest_us", s.report.Row(numbered(name, smallest), hopMetric), p50)
		s.report.ratio(name+"_largest_over_smallest", s.report.Row(numbered(name, largest), hopMetric), s.report.Row(numbered(name, smallest), hopMetric), p50)
	}
	s.report.ratio("hop_apart_over_local_smallest", s.report.Row(numbered(caseHopApart, smallest), hopMetric), s.report.Row(numbered(caseHopLocal, smallest), hopMetric), p50)
	return nil
}

const hopMetric = "one more function"

// hop measures chains of several lengths that pass on a value of one size; what one more function costs is the slope.
func (s *suite) hop(ctx context.Context, st *stage, name string, scale chainScale) ([]Row, error) {
	var loads []*load
	lengths := hopLengths[name]
	for _, n := range lengths {
		graph := hopsName(name, n)
		loads = append(loads, &load{
			name: numbered(name, scale.bytes), outstanding: 1, calls: s.size(scale.calls, 2), warm: max(scale.calls/warmShare/3, 1), procs: st.procs(),
			call: func(ctx context.Context, _ int) error {
				out, err := st.client.CallDAG(ctx, graph, client.Inputs{"bytes": scale.bytes})
				if err != nil {
					return err
				}
				got, err := client.Output[uint64](out, "y")
				return check(got, chainSum(scale.bytes), err)
			},
		})
	}
	if err := interleave(ctx, loads, s.size(chainRounds, 1), s.progress, "chains of "+strconv.Itoa(scale.bytes)+" bytes"); err != nil {
		return nil, err
	}
	first := loads[0].row()
	first.Metric = "chain of 3"
	return []Row{first, {
		Case: first.Case, Metric: hopMetric, Unit: "us", P50: slope(lengths, loads), N: loads[len(loads)-1].done,
	}}, nil
}

func hopsName(name string, n int) string { return name + "-" + strconv.Itoa(n) }

// hopsOf makes a value, passes it on n times, and judges it; where next is another executor's, every other function is.
func hopsOf(name, next string, n int) (*dag.Graph, error) {
	b := dag.New(hopsName(name, n))
	x := b.Call("make", fnChainMake, b.Input("bytes"))
	for i := range n {
		f := next
		if i%2 == 1 {
			f = fnChainPass
		}
		x = b.Call("pass"+strconv.Itoa(i), f, x)
	}
	b.Output("y", b.Call("judge", fnChainJudge, x))
	return b.Build()
}

// chainSum is what a value of so many bytes is judged to be: a word of every 4 KiB and its length.
func chainSum(bytes int) uint64 {
	sum := uint64(bytes)
	for i := 0; i+8 <= bytes; i += 4096 {
		sum += uint64(i) * 0x9e3779b97f4a7c15
	}
	return sum
}

// chainValue is a value for which chainSum holds.
func chainValue(bytes int) []byte {
	b := make([]byte, bytes)
	for i := 0; i+8 <= bytes; i += 4096 {
		binary.LittleEndian.PutUint64(b[i:], uint64(i)*0x9e3779b97f4a7c15)
	}
	return b
}

// chainJudged judges a value.
func chainJudged(b []byte) uint64 {
	sum := uint64(len(b))
	for i := 0; i+8 <= len(b); i += 4096 {
		sum += binary.LittleEndian.Uint64(b[i:])
	}
	return sum
}

var errChainBytes = fault.New(fault.InvalidArgument, "a value of a chain has between 8 bytes and a gigabyte")
