package bench

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/squall-faas/squall/cache/coded"
	"github.com/squall-faas/squall/cache/coded/layout"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

// Coded is the suite of `squall bench coded`: objects in lent memory, beside a plain TCP copy of the same bytes, Redis and
// the store; what stopped, slow and killed lenders cost; and what availability the simulator gives in the paper's setting.
// The zero Coded, with a Launch, measures everything.
type Coded struct {
	Options
	Seed uint64 // of the simulations; 0 is 1
	Plot string // file for a plot of the cost by the rate of requests, SVG or PNG by its ending; "" draws none
}

// Names of cases. Those of objects have a number, the bytes.
const (
	caseCopy         = "copy"
	caseObjectRedis  = "redis"
	caseObjectStore  = "store"
	caseStopped      = "stopped"
	caseKilled       = "killed"
	caseAvailability = "availability"
	caseLive         = "live"
	caseCost         = "cost"
)

var codedCodes = []layout.Code{{Data: 10, Parity: 2}, {Data: 4, Parity: 2}, {Data: 10}}

var codedTargets = []Target{
	{Ratio: "get_10mb_over_copy", Limit: 1.5}, {Ratio: "get_100mb_over_copy", Limit: 1.5},
	{Ratio: "set_10mb_over_copy", Limit: 2}, {Ratio: "set_100mb_over_copy", Limit: 2},
	{Ratio: "get_ec_share", Limit: 0.15}, {Ratio: "set_ec_share", Limit: 0.15},
	{Ratio: "stopped_p99_over_healthy", Limit: 2},
	{Ratio: "availability_paper", Limit: 0.999, AtLeast: true},
	{Ratio: "availability_live_minus_sim", Limit: 0.02},
}

// codedScale is one size of objects.
type codedScale struct {
	name   string
	bytes  int
	rounds int
	each   int // operations of a round
}

var codedScales = []codedScale{
	{"100kb", 100_000, 10, 30}, {"1mb", 1_000_000, 10, 15}, {"10mb", 10_000_000, 10, 8}, {"100mb", 100_000_000, 8, 2}, {"1gb", 1_000_000_000, 2, 1},
}

const (
	codedLenders = 16
	codedLend    = 512 << 20 // bytes of each
	codedStoreMB = 100_000_000
)

// codedRun is one run of the suite.
type codedRun struct {
	*suite
	st      *stage
	tier    *coded.Tier
	copy    copied
	redis   *redis
	lenders map[string]*node // by id
	started int
	took    map[string][]float64 // microseconds, by case and what was done
}

// Run measures, and ends all that it started. A wrong byte is an error, and invalid_argument is a Plot that cannot be drawn.
func (c Coded) Run(ctx context.Context) (*Report, error) {
	cases := []string{caseCopy, caseObjectRedis, caseObjectStore, caseStopped, caseKilled, caseAvailability, caseLive, caseCost}
	for _, code := range codedCodes {
		cases = append(cases, code.String())
	}
	if c.Seed == 0 {
		c.Seed = 1
	}
	return c.run(ctx, "coded", cases, codedTargets, func(ctx context.Context, own *suite) error {
		r := &codedRun{suite: own, lenders: map[string]*node{}, took: map[string][]float64{}}
		if c.Plot != "" { // before the minutes that the rest takes
			if !r.wants(caseCost) {
				return fault.New(fault.InvalidArgument, "the plot is of the case %s, which --only leaves out", caseCost)
			}
			if err := costPlot(c.Plot); err != nil {
				return err
			}
		}
		if r.wanted(caseAvailability, caseCost) {
			r.simulate(c.Seed)
		}
		if r.wanted(caseCopy, caseObjectRedis, caseObjectStore, "10+2", "4+2", "10+0", caseStopped, caseKilled) {
			if err := r.objects(ctx); err != nil {
				return err
			}
		}
		if r.wants(caseLive) {
			return r.live(ctx, c.Seed)
		}
		return nil
	})
}

// objects measures all that needs lenders' processes.
func (r *codedRun) objects(ctx context.Context) (err error) {
	if r.st, err = r.stage(ctx, "coded", r.storeDir("nats-coded")); err != nil {
		return err
	}
	defer r.st.close()
	r.progress.Begin("start lenders", codedLenders)
	for range codedLenders {
		if err := r.lend(0); err != nil {
			return err
		}
		r.progress.Step(1)
	}
	if r.tier, err = objects(ctx, r.st.backbone); err != nil {
		return err
	}
	defer func() { _ = r.tier.Close() }() // what is measured is measured
	if err := r.tier.Settle(ctx); err != nil {
		return err
	}
	if n := len(r.tier.Lenders()); n != codedLenders {
		return fault.New(fault.Unavailable, "%d of %d lenders have announced themselves", n, codedLenders)
	}
	address, err := r.st.start(nodeConfig{Role: roleCopy})
	if err != nil {
		return err
	}
	if r.copy.conn, err = new(net.Dialer).DialContext(ctx, "tcp", address); err != nil {
		return fault.New(fault.Unreachable, "copier: %w", err)
	}
	defer func() { _ = r.copy.conn.Close() }()
	if r.wants(caseObjectRedis) {
		r.redis, err = startRedis(ctx, r.storeDir("redis-coded"), 1)
		switch {
		case err == nil:
			defer r.redis.close()
			if _, err := r.redis.conns[0].Do([]byte("CONFIG"), []byte("SET"), []byte("appendonly"), []byte("no")); err != nil {
				return err
			}
		case !fault.Is(err, fault.NotFound):
			return err
		}
	}
	for _, z := range codedScales {
		if r.Quick {
			z.rounds, z.each = 1, 2
		}
		if r.Quick && z.bytes > 10_000_000 {
			continue
		}
		if err := r.scale(ctx, z); err != nil {
			return err
		}
	}
	r.ratios()
	if r.wants(caseStopped) {
		if err := r.stopped(ctx); err != nil {
			return err
		}
	}
	if r.wanted(caseKilled) {
		return r.killed(ctx)
	}
	return nil
}

// lend starts a lender that answers so many milliseconds late.
func (r *codedRun) lend(delay int) error {
	name := fmt.Sprintf("lender-%d", r.started)
	r.started++
	id, err := r.st.start(nodeConfig{Role: roleLender, Name: name, URL: r.st.url, Lend: codedLend, Delay: delay})
	if err != nil {
		return err
	}
	r.lenders[id] = r.st.nodes[len(r.st.nodes)-1]
	return nil
}

// scale measures SETs and GETs of one size, all cases interleaved.
func (r *codedRun) scale(ctx context.Context, z codedScale) error {
	src, dst := make([]byte, z.bytes), make([]byte, z.bytes)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(src)
	timed := func(name, what string, n int, f func() error) error {
		for range n {
			began := time.Now()
			if err := f(); err != nil {
				return fault.New(fault.CodeOf(err), "case %s, %s: %w", name, what, err)
			}
			r.note(numbered(name, z.bytes), what, time.Since(began))
		}
		return nil
	}
	verified := func(name string) error {
		if !bytes.Equal(src, dst) {
			return fault.New(fault.Internal, "case %s gave other bytes than it was given", name)
		}
		clear(dst)
		return nil
	}
	var parts []func(context.Context, int) error
	add := func(name string, set, get func(ctx context.Context) error) {
		if !r.wants(numbered(name, z.bytes)) {
			return
		}
		parts = append(parts, func(ctx context.Context, _ int) error {
			if err := timed(name, "set", z.each, func() error { return set(ctx) }); err != nil {
				return err
			}
			if err := timed(name, "get", z.each, func() error { return get(ctx) }); err != nil {
				return err
			}
			return verified(name)
		})
	}
	add(caseCopy, func(context.Context) error { return r.copy.give(src) }, func(context.Context) error {
		return r.copy.take(dst)
	})
	for _, code := range codedCodes {
		key := fmt.Sprintf("bench/%v/%s", code, z.name)
		add(code.String(), func(ctx context.Context) error {
			before := r.tier.Stats().Coding
			_, err := r.tier.PutBytes(ctx, key, src, coded.PutOptions{Code: code})
			r.note(numbered(code.String(), z.bytes), "set arithmetic", r.tier.Stats().Coding-before)
			return err
		}, func(ctx context.Context) error {
			before := r.tier.Stats().Coding
			_, err := r.tier.GetInto(ctx, key, dst)
			r.note(numbered(code.String(), z.bytes), "get arithmetic", r.tier.Stats().Coding-before)
			return err
		})
		defer func() { _ = r.tier.Delete(context.WithoutCancel(ctx), key) }()
	}
	if r.redis != nil && z.bytes <= 100_000_000 { // a value of Redis has at most 512 MiB
		key := "bench/" + z.name
		add(caseObjectRedis, func(ctx context.Context) error { return r.redis.set(ctx, 0, key, src) }, func(ctx context.Context) error {
			r.redis.conns[0].Reset()
			got, err := r.redis.mget(ctx, []string{key})
			if err == nil {
				copy(dst, got[0])
			}
			return err
		})
	}
	if z.bytes <= codedStoreMB {
		key := kvs.Key("bench/" + z.name)
		defer func() { _ = r.st.backbone.User.Delete(context.WithoutCancel(ctx), key, 0) }()
		add(caseObjectStore, func(ctx context.Context) error {
			_, err := r.st.backbone.User.Put(ctx, key, value.MustOf(src), kvs.PutOptions{})
			return err
		}, func(ctx context.Context) error {
			e, err := r.st.backbone.User.Get(ctx, key)
			if err != nil {
				return err
			}
			b, err := value.As[[]byte](e.Value)
			copy(dst, b)
			return err
		})
	}
	for _, p := range parts { // once before anything counts: connections, memory
		if err := p(ctx, 0); err != nil {
			return err
		}
	}
	for name := range r.took {
		if strings.Contains(name, fmt.Sprintf("/%d ", z.bytes)) {
			delete(r.took, name)
		}
	}
	return r.alternate(ctx, "objects of "+z.name, z.rounds, parts)
}

func (r *codedRun) note(name, what string, took time.Duration) {
	id := name + " " + what
	r.took[id] = append(r.took[id], float64(took)/float64(time.Microsecond))
}

// ratios writes the rows, and sets the figures against the copy.
func (r *codedRun) ratios() {
	names := []string{caseCopy}
	for _, code := range codedCodes {
		names = append(names, code.String())
	}
	names = append(names, caseObjectRedis, caseObjectStore)
	for _, z := range codedScales {
		for _, name := range names {
			for _, what := range []string{"set", "get"} {
				samples := r.took[numbered(name, z.bytes)+" "+what]
				if len(samples) == 0 {
					continue
				}
				row := sampled(numbered(name, z.bytes), what, "us", samples)
				r.report.Rows = append(r.report.Rows, row,
					Row{Case: row.Case, Metric: what + ", the least", Unit: "us", P50: slices.Min(samples), N: len(samples)})
			}
		}
		for _, what := range []string{"set", "get"} {
			ours, copies := r.report.Row(numbered("10+2", z.bytes), what), r.report.Row(numbered(caseCopy, z.bytes), what)
			r.report.ratio(what+"_"+z.name+"_over_copy", ours, copies, p50)
			if arithmetic := r.took[numbered("10+2", z.bytes)+" "+what+" arithmetic"]; z.bytes == 100_000_000 && len(arithmetic) > 0 {
				r.report.Ratios[what+"_ec_share"] = sum(arithmetic) / sum(r.took[numbered("10+2", z.bytes)+" "+what])
			}
		}
	}
}

func sum(xs []float64) (s float64) {
	for _, x := range xs {
		s += x
	}
	return s
}
