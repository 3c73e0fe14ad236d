package bench

import (
	"context"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sync/errgroup"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

// Names of the cases of durable writes.
const (
	casePutJetStream = "put_jetstream"  // nats.go alone, one stream
	casePutStreams   = "put_streams"    // nats.go alone, over as many streams as the store has
	casePutSDK       = "put_sdk"        // client.Put of keys that the client has written before
	casePutNew       = "put_sdk_new"    // client.Put of keys that it has not
	casePutFunction  = "put_function"   // functions' durable puts
	casePutBack      = "put_write_back" // functions' cached puts, so many at a time, and then everything stored
	casePutFlow      = "put_flow"       // the same, so many that the cache's batches are as large as it lets them grow
	casePutRedis     = "put_redis"
)

func putNames() []string {
	return []string{casePutJetStream, casePutStreams, casePutSDK, casePutNew, casePutFunction, casePutBack, casePutFlow, casePutRedis}
}

const (
	putRounds = 10
	// putKeys is how many keys a case writes to, over and over: a multiple of every number of writers, so that each key is
	// one writer's.
	putKeys     = 960
	quickPut    = 96
	putOne      = 1500 // writes of one writer
	putMany     = 12_000
	putBatches  = 40 // of write-back, of each size
	putFlow     = 10_000
	putFlows    = 10
	manyWriters = 32
)

// What the latencies of a case are of.
const (
	putMetric   = "write"
	batchMetric = "all stored"
	sizeMetric  = "writes a batch" // that the cache made
)

// putWriters are how many writers wait for their writes at a time.
var putWriters = []int{1, manyWriters}

// putBatchSizes are the writes that are stored together.
var putBatchSizes = []int{100, 1000}

// puts measures writes that are answered when they are fsynced: one replica, one server process, a real directory.
func (c *cacheRun) puts(ctx context.Context) error {
	if !c.wanted(putNames()...) {
		return nil
	}
	st, err := c.stage(ctx, "puts", c.storeDir("nats-puts"))
	if err != nil {
		return err
	}
	defer st.close()
	var all []*putting
	if c.wanted(casePutFunction, casePutBack, casePutFlow) {
		if _, err := st.executor(nodeConfig{Name: "executor-puts", Functions: []string{fnPuts}, Slots: manyWriters}); err != nil {
			return err
		}
		all = append(all, c.functionPuts(st)...)
	}
	all = append(all, c.sdkPuts(st)...)
	if c.wanted(casePutJetStream, casePutStreams) {
		more, end, err := c.barePuts(ctx, st.url)
		if err != nil {
			return err
		}
		defer end()
		all = append(all, more...)
	}
	if c.wanted(casePutRedis) {
		r, err := startRedis(ctx, c.storeDir("redis"), manyWriters)
		switch {
		case err == nil:
			defer r.close()
			all = append(all, c.writersOf(casePutRedis, r.set, r.mget)...)
		case !fault.Is(err, fault.NotFound):
			return err
		}
		c.report.Env["redis"] = err == nil
	}
	c.report.Env["put_value_bytes"], c.report.Env["put_keys"] = cachedBytes, c.size(putKeys, quickPut)
	var parts []func(context.Context, int) error
	for _, p := range all {
		c.ready(p)
		parts = append(parts, p.round)
	}
	for _, p := range all { // to warm up, and to have every key written once that is written over and over
		if err := p.run(ctx, max(p.keys, p.writers), false); err != nil {
			return err
		}
	}
	if err := c.alternate(ctx, "durable writes", c.size(putRounds, 2), parts); err != nil {
		return err
	}
	c.progress.Begin("read all writes back", len(all))
	for _, p := range all {
		if err := p.verify(ctx); err != nil {
			return err
		}
		c.report.Rows = append(c.report.Rows, p.rows()...)
		c.progress.Step(1)
	}
	c.putRatios()
	return nil
}

// ready prepares a case to be measured.
func (c *cacheRun) ready(p *putting) {
	p.rounds, p.hist = c.size(putRounds, 2), hdrhistogram.New(1, int64(longestCall), 3)
	for w := range p.writers {
		p.next, p.last = append(p.next, w), append(p.last, map[string]int{})
	}
}

func (c *cacheRun) putRatios() {
	r := c.report
	row := func(name string, n int) *Row {
		return r.Row(numbered(name, n), putMetric)
	}
	r.ratio("durable_put_over_jetstream", row(casePutSDK, manyWriters), row(casePutJetStream, manyWriters), ops)
	r.ratio("durable_put_over_jetstream_1", row(casePutSDK, 1), row(casePutJetStream, 1), ops)
	r.ratio("durable_put_over_streams", row(casePutSDK, manyWriters), row(casePutStreams, manyWriters), ops)
	r.ratio("durable_new_put_over_jetstream", row(casePutNew, manyWriters), row(casePutJetStream, manyWriters), ops)
	r.ratio("durable_function_put_over_jetstream", row(casePutFunction, manyWriters), row(casePutJetStream, manyWriters), ops)
	r.ratio("durable_function_put_over_sdk_1", row(casePutFunction, 1), row(casePutSDK, 1), ops)
	// The target is of the smallest batches that it speaks of, each begun when everything before is stored.
	for name, of := range map[string]string{
		"durable_batch": numbered(casePutBack, putBatchSizes[0]), "durable_batch1000": numbered(casePutBack, putBatchSizes[1]),
		"durable_flow": casePutFlow,
	} {
		r.ratio(name+"_over_jetstream", r.Row(of, batchMetric), row(casePutJetStream, manyWriters), ops)
		r.ratio(name+"_over_streams", r.Row(of, batchMetric), row(casePutStreams, manyWriters), ops)
	}
}

// writes is how many a case has.
func (c *cacheRun) writes(writers int) int {
	if writers == 1 {
		return c.size(putOne, 40)
	}
	return c.size(putMany, 8*manyWriters)
}

// writersOf makes a case for each number of writers.
func (c *cacheRun) writersOf(name string, write func(context.Context, int, string, []byte) error, read func(context.Context, []string) ([][]byte, error)) []*putting {
	var out []*putting
	for _, n := range putWriters {
		if c.wants(numbered(name, n)) {
			out = append(out, &putting{
				name: numbered(name, n), writers: n, writes: c.writes(n), keys: c.size(putKeys, quickPut), write: write, read: read,
			})
		}
	}
	return out
}

// sdkPuts are client.Put, from this process.
func (c *cacheRun) sdkPuts(st *stage) []*putting {
	write := func(ctx context.Context, _ int, key string, v []byte) error { return st.client.Put(ctx, key, v) }
	out := c.writersOf(casePutSDK, write, st.stored)
	for _, p := range c.writersOf(casePutNew, write, st.stored) {
		p.keys = 0
		out = append(out, p)
	}
	return out
}

// stored reads keys from the store.
func (st *stage) stored(ctx context.Context, keys []string) ([][]byte, error) {
	names := make([]kvs.Key, len(keys))
	for i, k := range keys {
		names[i] = kvs.Key(k)
	}
	entries, err := st.backbone.User.GetMany(ctx, names)
	if err != nil {
		return nil, err
	}
	out := make([][]byte, len(keys))
	for i, e := range entries {
		if e.Revision == 0 {
			continue
		}
		if out[i], err = value.As[[]byte](e.Value); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// functionPuts are those of functions on an executor that has a slot for each: each waits for its writes.
func (c *cacheRun) functionPuts(st *stage) []*putting {
	task := func(ctx context.Context, p *putting, ack kvs.Ack, first, n, stride int) (putTook, error) {
		return callAt[putTook](ctx, st, kvs.LWW, fnPuts, putTask{
			Case: p.name, Keys: p.keys, First: first, Count: n, Stride: stride, Ack: ack.String(), Flush: ack == kvs.Cached,
		})
	}
	out := c.writersOf(casePutFunction, nil, st.stored)
	for _, p := range out {
		p.batch = func(ctx context.Context, first, n int) (all putTook, err error) {
			parts := make([]putTook, p.writers)
			g, ctx := errgroup.WithContext(ctx)
			for w := range parts {
				g.Go(func() (err error) {
					parts[w], err = task(ctx, p, kvs.Durable, first+w, (n-w+p.writers-1)/p.writers, p.writers)
					return err
				})
			}
			err = g.Wait()
			for _, part := range parts {
				all.Each, all.Whole = append(all.Each, part.Each...), max(all.Whole, part.Whole)
				// The writers' batches are the same ones.
				all.Batches, all.Batched = max(all.Batches, part.Batches), max(all.Batched, part.Batched)
			}
			return all, err
		}
	}
	back := func(name string, n, times int) {
		if !c.wants(name) {
			return
		}
		// Keys enough that no batch has one twice: two writes of one key that wait would become one.
		p := &putting{name: name, writers: 1, writes: n * times, keys: 2 * n, read: st.stored}
		p.batch = func(ctx context.Context, first, count int) (all putTook, err error) {
			for ; count > 0 && err == nil; first, count = first+n, count-n {
				var part putTook
				part, err = task(ctx, p, kvs.Cached, first, min(n, count), 1)
				all.Each, all.Whole = append(all.Each, part.Each...), all.Whole+part.Whole
				all.Batches, all.Batched = all.Batches+part.Batches, all.Batched+part.Batched
			}
			return all, err
		}
		out = append(out, p)
	}
	for _, n := range putBatchSizes {
		back(numbered(casePutBack, n), n, c.size(putBatches, 2))
	}
	back(casePutFlow, c.size(putFlow, 1000), c.size(putFlows, 2))
	return out
}
