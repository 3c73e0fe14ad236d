package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/squall-faas/squall/client"
	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs"
)

// Transfer is the suite of `squall bench transfer`: what a value costs on its way from one function to the next, by the path
// that it takes and its size, beside a bare net/http body of the same size between the same processes. The zero Transfer,
// with a Launch, measures everything.
type Transfer struct{ Options }

var transferTargets = []Target{
	{Ratio: "direct_1gb_over_http", Limit: 0.8, AtLeast: true},
	{Ratio: "local_100mb_over_1kb", Limit: 2},
}

// Names of cases; each has a number, the bytes of the value.
const (
	caseLocal  = "local"  // by pointer, on one node
	caseInline = "inline" // in the message
	caseShared = "shm"    // by memory that two processes of the host share
	caseDirect = "direct" // from the producer's data port
	caseRemote = "remote" // through the store
	caseHTTP   = "http"   // a bare net/http body, read into memory of its length
	caseStream = "stream" // the same, thrown away as it comes
)

func transferNames() []string {
	return []string{caseLocal, caseInline, caseShared, caseDirect, caseRemote, caseHTTP, caseStream}
}

// transferSize is one size of value, with the calls in a round that each case has.
type transferSize struct {
	bytes int
	calls int
	short bool // measured by a short run
}

var transferSizes = []transferSize{
	{1 << 10, 40, true}, {16 << 10, 40, false}, {128 << 10, 30, true}, {1 << 20, 10, true}, {16 << 20, 4, true},
	{100_000_000, 2, false}, {1 << 30, 1, false},
}

const (
	transferRounds = 7
	// mostInline is below what a message carries, and leastAway above it; leastShared is what is shared by memory.
	mostInline  = 128 << 10
	leastAway   = 1 << 20
	leastShared = 1 << 20
	// remoteRounds is how often a value of 100 MB and more goes through the store: once takes seconds.
	remoteRounds = 2
	remoteLarge  = 64 << 20
)

// transferRun is one run of the suite.
type transferRun struct {
	*suite
	st   *stage
	took map[string][]float64 // microseconds, by case and metric
	url  string               // of the bare HTTP server, in the direct path's producer
}

// Run measures, and ends all that it started. A wrong value is an error.
func (x Transfer) Run(ctx context.Context) (*Report, error) {
	return x.run(ctx, "transfer", transferNames(), transferTargets, func(ctx context.Context, own *suite) (err error) {
		r := &transferRun{suite: own, took: map[string][]float64{}}
		if r.st, err = own.stage(ctx, "transfer", ""); err != nil {
			return err
		}
		defer r.st.close()
		return r.measure(ctx)
	})
}

// transferPairs are the executors of each path, by what makes its values take it.
var transferPairs = map[string][2]nodeConfig{
	caseLocal:  {{Name: "local", Functions: []string{makeName(caseLocal), takeName(caseLocal)}}},
	caseShared: {{Name: "shm-a", Functions: []string{makeName(caseShared)}}, {Name: "shm-b", Functions: []string{takeName(caseShared)}}},
	caseDirect: {{Name: "direct-a", Functions: []string{makeName(caseDirect), fnServeHTTP}, Unshared: true},
		{Name: "direct-b", Functions: []string{takeName(caseDirect), fnGetHTTP}, Unshared: true}},
	caseRemote: {{Name: "remote-a", Functions: []string{makeName(caseRemote)}, Unshared: true, Hold: 1}, {Name: "remote-b", Functions: []string{takeName(caseRemote)}, Unshared: true}},
}

func makeName(path string) string { return "make-" + path }
func takeName(path string) string { return "take-" + path }

// pair is whose executors a case runs on.
func pair(name string) string {
	if name == caseInline || name == caseHTTP || name == caseStream {
		return caseDirect
	}
	return name
}

func (r *transferRun) measure(ctx context.Context) error {
	for path, nodes := range transferPairs {
		for _, cfg := range nodes {
			if cfg.Name == "" {
				continue
			}
			if _, err := r.st.executor(cfg); err != nil {
				return err
			}
		}
		b := dag.New(path)
		b.Output("y", b.Call("take", takeName(path), b.Call("make", makeName(path), b.Input("x"))))
		g, err := b.Build()
		if err != nil {
			return err
		}
		if _, err := r.st.client.RegisterDAG(ctx, g); err != nil {
			return err
		}
	}
	var err error
	if r.url, err = callAt[string](ctx, r.st, kvs.LWW, fnServeHTTP, 0); err != nil {
		return err
	}
	parts := r.parts()
	for _, part := range parts { // what is not counted: connections, code, the first use of memory
		if err := part(ctx, -1); err != nil {
			return err
		}
	}
	r.took = map[string][]float64{}
	if err := r.alternate(ctx, "transfers", r.size(transferRounds, 1), parts); err != nil {
		return err
	}
	r.rows()
	return nil
}

// goes reports whether values of a size go by a path.
func goes(name string, bytes int) bool {
	switch name {
	case caseInline:
		return bytes <= mostInline
	case caseShared:
		return bytes >= leastShared
	case caseDirect, caseRemote, caseHTTP, caseStream:
		return bytes >= leastAway
	}
	return true
}

func (r *transferRun) parts() (parts []func(context.Context, int) error) {
	for _, z := range transferSizes {
		if r.Quick && !z.short {
			continue
		}
		for _, name := range transferNames() {
			if !goes(name, z.bytes) || !r.wants(numbered(name, z.bytes)) {
				continue
			}
			parts = append(parts, func(ctx context.Context, round int) error {
				calls := z.calls
				switch {
				case round < 0:
					calls = 1
				case name == caseRemote && z.bytes >= remoteLarge && round >= remoteRounds:
					return nil
				}
				for range r.size(calls, min(calls, 2)) {
					if err := r.one(ctx, name, z.bytes); err != nil {
						return fault.New(fault.CodeOf(err), "case %s: %w", numbered(name, z.bytes), err)
					}
				}
				return nil
			})
		}
	}
	return parts
}

// one is one value on its way.
func (r *transferRun) one(ctx context.Context, name string, bytes int) error {
	add := func(metric string, nanos int64) {
		key := fmt.Sprintf("%s|%d|%s", name, bytes, metric)
		r.took[key] = append(r.took[key], float64(nanos)/float64(time.Microsecond))
	}
	if name == caseHTTP || name == caseStream {
		nanos, err := callAt[int64](ctx, r.st, kvs.LWW, fnGetHTTP, getHTTP{r.url, bytes, name == caseStream})
		if err == nil {
			add(metricBody, nanos)
		}
		return err
	}
	out, err := r.st.client.CallDAG(ctx, pair(name), client.Inputs{"x": bytes})
	if err != nil {
		return err
	}
	got, err := client.Output[taken](out, "y")
	switch {
	case err != nil:
		return err
	case got.Bytes != bytes:
		return fault.New(fault.Internal, "%d bytes came", got.Bytes)
	case (got.Pulled != 0) != (name == caseDirect):
		return fault.New(fault.Internal, "the value went by another path: %d bytes came from a data port", got.Pulled)
	case (got.Mapped != 0) != (name == caseShared):
		return fault.New(fault.Internal, "the value went by another path: %d values are mapped", got.Mapped)
	}
	add(metricHop, got.Hop)
	if name == caseDirect {
		add(metricPull, got.Pull)
	}
	return nil
}

// Metrics of the rows.
const (
	metricHop  = "hop"  // from when one function returns to when the next one has the value
	metricPull = "pull" // of that, from when the consumer has the reference to when it has the value, checked
	metricBody = "body" // from the request to the end of the body
)

func (r *transferRun) rows() {
	for _, z := range transferSizes {
		for _, name := range transferNames() {
			for _, metric := range []string{metricHop, metricPull, metricBody} {
				samples := r.took[fmt.Sprintf("%s|%d|%s", name, z.bytes, metric)]
				if len(samples) == 0 {
					continue
				}
				row := sampled(numbered(name, z.bytes), metric, "us", samples)
				row.Ops = 1e6 / row.P50
				r.report.Rows = append(r.report.Rows, row)
			}
		}
	}
	row := func(name string, bytes int, metric string) *Row { return r.report.Row(numbered(name, bytes), metric) }
	for size, bytes := range map[string]int{"16mb": 16 << 20, "100mb": 100_000_000, "1gb": 1 << 30} {
		body := row(caseHTTP, bytes, metricBody)
		r.report.ratio("direct_"+size+"_over_http", body, row(caseDirect, bytes, metricPull), p50)
		r.report.ratio("direct_"+size+"_hop_over_http", body, row(caseDirect, bytes, metricHop), p50)
		r.report.ratio("direct_"+size+"_over_stream", row(caseStream, bytes, metricBody), row(caseDirect, bytes, metricPull), p50)
		r.report.ratio("shm_"+size+"_hop_over_direct", row(caseDirect, bytes, metricHop), row(caseShared, bytes, metricHop), p50)
		r.report.ratio("remote_"+size+"_hop_over_direct", row(caseDirect, bytes, metricHop), row(caseRemote, bytes, metricHop), p50)
	}
	local := row(caseLocal, 100_000_000, metricHop)
	r.report.figure("local_100mb_hop_us", local, p50)
	r.report.ratio("local_100mb_over_1kb", local, row(caseLocal, 1<<10, metricHop), p50)
}
