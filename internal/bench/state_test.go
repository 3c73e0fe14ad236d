package bench

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/hlc"
	"github.com/squall-faas/squall/internal/resp"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/kvs/version"
)

// quick are the options of a suite in small, with a check that it leaves nothing behind.
func quick(t *testing.T, only ...string) Options {
	dir := t.TempDir()
	t.Cleanup(func() { empty(t, dir) })
	return Options{Launch: launch(t), Release: "test", Quick: true, Dir: dir, Only: only}
}

// has fails the test where a report lacks rows, given as case and metric, or ratios; a row's figure must be positive.
func has(t *testing.T, r *Report, rows [][2]string, ratios ...string) {
	t.Helper()
	for _, x := range rows {
		row := r.Row(x[0], x[1])
		if row == nil || row.N == 0 || row.P50 <= 0 || row.Unit == "" {
			t.Errorf("case %s, %s: %+v", x[0], x[1], row)
		}
	}
	for _, name := range ratios {
		if x, ok := r.Ratios[name]; !ok || x <= 0 || math.IsNaN(x) || math.IsInf(x, 0) {
			t.Errorf("ratio %s is %v", name, x)
		}
	}
}

// TestCacheQuick runs the hits and the durable writes; TestHitRatios has the rest. What is read is verified by the suite.
func TestCacheQuick(t *testing.T) {
	r, err := Cache{Options: quick(t, "hit_*", "put_*")}.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var rows [][2]string
	for _, h := range (&cacheRun{&suite{}}).hitCases() {
		metric := fmt.Sprintf("read, %d a session", h.call)
		if h.call == 0 {
			metric = ""
			for _, row := range r.Rows {
				if row.Case == h.name && strings.HasPrefix(row.Metric, "read, ") {
					metric = row.Metric
				}
			}
		}
		rows = append(rows, [2]string{h.name, metric})
	}
	for _, name := range []string{casePutJetStream, casePutStreams, casePutSDK, casePutNew, casePutFunction} {
		for _, n := range putWriters {
			rows = append(rows, [2]string{numbered(name, n), putMetric})
		}
	}
	for _, n := range putBatchSizes {
		rows = append(rows, [2]string{numbered(casePutBack, n), batchMetric}, [2]string{numbered(casePutBack, n), sizeMetric})
	}
	rows = append(rows, [2]string{casePutFlow, batchMetric})
	has(t, r, rows, "hit_lww_ns", "hit_dsc_ns", "hit_lww_over_map", "durable_put_over_jetstream", "durable_put_over_jetstream_1",
		"durable_put_over_streams", "durable_batch_over_jetstream", "durable_batch1000_over_jetstream", "durable_flow_over_jetstream")
	for _, name := range []string{"hit_lww", "hit_sk", "hit_mk"} {
		if row := r.Row(name, "hits"); row == nil || row.P50 < 0.9 {
			t.Errorf("case %s is not of hits: %+v", name, row)
		}
	}
}

func TestLocalityQuick(t *testing.T) {
	r, err := Locality{quick(t)}.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var rows [][2]string
	for _, scale := range localityScales[:2] {
		for _, name := range []string{caseHot, casePeer, caseCold} {
			rows = append(rows, [2]string{numbered(name, scale.bytes), "in the executor"}, [2]string{numbered(name, scale.bytes), "whole call"})
		}
		rows = append(rows, [2]string{numbered(caseHot, scale.bytes), "plain loop"})
	}
	has(t, r, rows, "hot_80kb_over_loop", "hot_800kb_over_loop", "hot_80mb_over_loop", "peer_80kb_over_hot", "cold_80kb_over_hot")
}

func TestConsistencyQuick(t *testing.T) {
	r, err := Consistency{Options: quick(t, "dag_lww", "dag_rr", "dag_dsc"), Runs: 60, Seed: 1}.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	has(t, r, [][2]string{
		{"dag_lww", "latency"}, {"dag_rr", "latency"}, {"dag_dsc", "latency"}, {"dag_rr", "session metadata"}, {"dag_dsc", "session metadata"},
	}, "lww_over_lww", "dsc_over_lww")
	if n := r.Row("dag_lww", "session metadata").P50; n != 0 {
		t.Errorf("runs at lww carry %v bytes", n)
	}
	for _, name := range []string{"dag_lww", "dag_rr", "dag_dsc"} {
		if n := r.Row(name, "promises broken").P50; n != 0 {
			t.Errorf("%s: %v promises broken: %v", name, n, r.Env)
		}
	}
	if r.Ratios["violations"] != 0 {
		t.Errorf("%v promises broken", r.Ratios["violations"])
	}
}

func TestSuitesRefuse(t *testing.T) {
	bad := Options{Only: []string{"nothing"}}
	for name, run := range map[string]func(context.Context) (*Report, error){
		"cache":       func(ctx context.Context) (*Report, error) { return Cache{Options: bad}.Run(ctx) },
		"locality":    func(ctx context.Context) (*Report, error) { return Locality{bad}.Run(ctx) },
		"consistency": func(ctx context.Context) (*Report, error) { return Consistency{Options: bad}.Run(ctx) },
	} {
		if _, err := run(t.Context()); !fault.Is(err, fault.InvalidArgument) || !strings.Contains(err.Error(), "the cases are") {
			t.Errorf("%s: gave %v", name, err)
		}
	}
	if _, err := (Consistency{Runs: -1}).Run(t.Context()); !fault.Is(err, fault.InvalidArgument) {
		t.Errorf("gave %v", err)
	}
}

// TestStoreDependent: every value depends on others in a version that is stored, and that has been replaced since.
func TestStoreDependent(t *testing.T) {
	store := kvs.NewMemory()
	defer func() { _ = store.Close() }()
	const keys = 3000 // more than a batch
	began, err := storeDependent(t.Context(), store, keys)
	if err != nil {
		t.Fatal(err)
	}
	now := make([]kvs.Revision, keys)
	at := map[kvs.Key]int{}
	for k := range keys {
		e, err := store.Get(t.Context(), kvs.Key(cacheKey(k)))
		if err != nil {
			t.Fatal(err)
		}
		now[k], at[e.Key] = e.Revision, k
	}
	for k := range keys {
		e, err := store.Get(t.Context(), kvs.Key(cacheKey(k)))
		if err != nil {
			t.Fatal(err)
		}
		v, err := version.Open(e)
		if err != nil {
			t.Fatal(err)
		}
		if len(v.Deps) != hitDeps || len(v.Siblings()) != 1 {
			t.Fatalf("key %d has %d dependencies and %d siblings", k, len(v.Deps), len(v.Siblings()))
		}
		for _, d := range v.Deps {
			on, known := at[d.Key]
			if !known || on == k || d.Revision == 0 || d.Revision >= now[on] || d.Time != hlc.At(began, 0).Time {
				t.Fatalf("key %d depends on %+v, of which the store has revision %d", k, d, now[on])
			}
		}
	}
}

// TestPutting: each key is one writer's, and what it holds at the end is its last write.
func TestPutting(t *testing.T) {
	var mu sync.Mutex
	held, owner := map[string][]byte{}, map[string]int{}
	c := &cacheRun{&suite{Options: Options{Quick: true}}}
	for _, p := range c.writersOf("put", func(_ context.Context, worker int, key string, v []byte) error {
		mu.Lock()
		defer mu.Unlock()
		if w, ok := owner[key]; ok && w != worker {
			return fmt.Errorf("key %s is written by %d and %d", key, w, worker)
		}
		owner[key], held[key] = worker, v
		return nil
	}, func(_ context.Context, keys []string) ([][]byte, error) {
		out := make([][]byte, len(keys))
		for i, key := range keys {
			out[i] = held[key]
		}
		return out, nil
	}) {
		c.ready(p)
		for round := range p.rounds {
			if err := p.round(t.Context(), round); err != nil {
				t.Fatal(err)
			}
		}
		if err := p.verify(t.Context()); err != nil {
			t.Error(err)
		}
		if row := p.rows()[0]; row.N != p.writes || row.Ops <= 0 || row.Metric != putMetric {
			t.Errorf("row %+v of %d writes", row, p.writes)
		}
		for key := range held {
			held[key] = bytes.Clone(held[key])
			held[key][0]++
			break
		}
		if err := p.verify(t.Context()); !fault.Is(err, fault.Internal) {
			t.Errorf("a lost write is not noticed: %v", err)
		}
		clear(held)
	}
}

// TestTransactionsShareTags: all keys that one run draws have the same tag, at txn.
func TestTransactionsShareTags(t *testing.T) {
	seed := rand.Uint64()
	r := &consistencyRun{zipf: newZipfOf(10_000, 1)}
	rng := rand.New(rand.NewPCG(seed, 1))
	for range 50 {
		tag, tags := -1, map[string]bool{}
		for range 10 {
			tags[kvs.Key(r.draw(&levelRun{level: kvs.Transaction}, rng, &tag)).Tag()] = true
		}
		if len(tags) != 1 {
			t.Fatalf("seed %d: keys of tags %v in one transaction", seed, tags)
		}
	}
}

// TestRedis speaks to a server that knows three commands.
func TestRedis(t *testing.T) {
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- fakeRedis(l) }()
	c, err := resp.Dial(t.Context(), l.Addr().String(), bareCallWait)
	if err != nil {
		t.Fatal(err)
	}
	r := &redis{conns: []*resp.Conn{c}}
	want := cachedValue(7)
	if err := r.set(t.Context(), 0, "a", want); err != nil {
		t.Fatal(err)
	}
	got, err := r.mget(t.Context(), []string{"a", "b"})
	if err != nil || !bytes.Equal(got[0], want) || got[1] != nil {
		t.Errorf("gave %x and %v, %v", got[0], got[1], err)
	}
	if _, err := c.Do([]byte("NONSENSE")); err == nil || !strings.Contains(err.Error(), "refuses") {
		t.Errorf("a refusal gave %v", err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	select {
	case err := <-served:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the server goes on")
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

// fakeRedis serves one connection.
func fakeRedis(l net.Listener) error {
	conn, err := l.Accept()
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	in, held := bufio.NewReader(conn), map[string]string{}
	number := func(mark byte) (int, error) {
		line, err := in.ReadString('\n')
		if err != nil || len(line) < 4 || line[0] != mark || !strings.HasSuffix(line, "\r\n") {
			return 0, fmt.Errorf("line %q, %w", line, err)
		}
		return strconv.Atoi(line[1 : len(line)-2])
	}
	for {
		if _, err := in.Peek(1); err == io.EOF {
			return nil
		}
		n, err := number('*')
		if err != nil {
			return err
		}
		words := make([]string, n)
		for i := range words {
			size, err := number('$')
			if err != nil {
				return err
			}
			b := make([]byte, size+2)
			if _, err := io.ReadFull(in, b); err != nil {
				return err
			}
			words[i] = string(b[:size])
		}
		answer := "-ERR unknown command\r\n"
		switch words[0] {
		case "PING":
			answer = "+PONG\r\n"
		case "SET":
			held[words[1]], answer = words[2], "+OK\r\n"
		case "GET":
			answer = "$-1\r\n"
			if v, ok := held[words[1]]; ok {
				answer = fmt.Sprintf("$%d\r\n%s\r\n", len(v), v)
			}
		}
		if _, err := io.WriteString(conn, answer); err != nil {
			return err
		}
	}
}
