package load

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/squall-faas/squall/client"
	"github.com/squall-faas/squall/coordinator/gateway"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/backbone"
	"github.com/squall-faas/squall/internal/cluster"
	"github.com/squall-faas/squall/internal/natsconn"
	"github.com/squall-faas/squall/internal/ycsb"
)

// everything is a workload of every kind of operation, with integrity.
func everything(t *testing.T, more ...string) *ycsb.Workload {
	return workload(t, append([]string{
		"recordcount=60", "operationcount=600", "dataintegrity=true", "requestdistribution=zipfian", "fieldcount=3", "fieldlength=20",
		"readproportion=0.4", "updateproportion=0.2", "insertproportion=0.05", "scanproportion=0.1", "readmodifywriteproportion=0.1", "squall.countproportion=0.15",
		"maxscanlength=5", "squall.counters=7",
	}, more...)...)
}

// conforms holds a target against what each has to do: load, run, in calls of one operation and of several, and nothing is
// lost, damaged or counted twice.
func conforms(t *testing.T, target Target, w *ycsb.Workload) {
	t.Helper()
	conform(t, target, w, false)
}

// conform is conforms for targets that may answer with retryable errors, where loose is set, and miss what was just added.
func conform(t *testing.T, target Target, w *ycsb.Workload, loose bool) {
	t.Helper()
	const threads = 4
	if err := target.Open(t.Context(), w, threads); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := target.Close(); err != nil {
			t.Error(err)
		}
	}()
	loaded, err := Do(t.Context(), Config{Workload: w, Target: target, Load: true, Threads: threads})
	if err != nil || loaded.Errors > 0 || loaded.Ops != w.InsertCount {
		t.Fatalf("load: %v, %+v", err, loaded)
	}
	for _, perCall := range []int{1, 10} {
		out, err := Do(t.Context(), Config{Workload: w, Target: target, Threads: threads, PerCall: perCall, Seed: 1})
		if err != nil {
			t.Fatal(err)
		}
		i := out.Integrity
		for _, f := range out.Failures {
			if !loose || !f.Code.Retryable() {
				t.Errorf("%s: %d × %s: %s", out.Target, f.Count, f.Code, f.Example)
			}
		}
		if out.Ops+out.Errors != w.Operations || out.Ops < w.Operations/2 || !i.Sound() || !i.ReadBack || i.Missing > 0 && !loose {
			t.Errorf("%s, %d in a call: %d operations, failures %+v, %+v", out.Target, perCall, out.Ops, out.Failures, i)
		}
		if w.DAG == nil && (i.Reads == 0 || i.Counters == 0) || i.Written == 0 {
			t.Errorf("%s, %d in a call: %+v", out.Target, perCall, i)
		}
	}
	refused := workload(t, "workload=dag")
	if _, ok := target.(*Functions); !ok && w.DAG == nil && !fault.Is(target.Open(t.Context(), refused, 1), fault.InvalidArgument) {
		t.Error("it takes a workload of DAGs")
	}
}

func TestMemoryTarget(t *testing.T) { conforms(t, NewMemory(), everything(t)) }

// house starts a cluster in this process.
func house(t *testing.T, cfg cluster.Config) *cluster.Cluster {
	t.Helper()
	c, err := cluster.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func TestSquallTarget(t *testing.T) {
	c := house(t, cluster.Config{NoWasm: true, Executors: 1})
	for _, level := range []string{"lww", "strong", "sk"} {
		conforms(t, &Squall{Client: c.Client}, everything(t, "table="+level, "squall.consistency="+level))
	}
}

// native registers functions of the process.
func native(c *client.Client) func(context.Context, string, string) error {
	return func(ctx context.Context, name, function string) error {
		_, err := c.Register(ctx, name, client.Func(Impls()[function]))
		return err
	}
}

func TestFunctionsTarget(t *testing.T) {
	c := house(t, cluster.Config{NoWasm: true, Executors: 2})
	for _, ack := range []string{"cached", "stored"} {
		// What one node's cache has acknowledged, another one does not see at once.
		conform(t, &Functions{Client: c.Client, Register: native(c.Client)}, everything(t, "table="+ack, "squall.ack="+ack), ack == "cached")
	}
	conform(t, &Functions{Client: c.Client, Register: native(c.Client)}, everything(t, "table=mk", "squall.consistency=mk"), true)
	if err := (&Functions{Client: c.Client}).Open(t.Context(), workload(t, "workload=dag"), 1); !fault.Is(err, fault.UnknownFunction) {
		t.Errorf("functions that nobody has: %v", err)
	}
}

func TestDAGTarget(t *testing.T) {
	c := house(t, cluster.Config{NoWasm: true, Executors: 2})
	for shape, more := range map[string]string{"chain": "dag.length=4", "fanout": "dag.width=3", "diamond": "dag.width=3"} {
		for _, level := range []string{"lww", "dsc"} {
			conform(t, &Functions{Client: c.Client, Register: native(c.Client)}, workload(t, "workload=dag", "operationcount=60", "recordcount=30", "dataintegrity=true",
				"dag.shape="+shape, more, "dag.functions=3", "dag.payload=50", "dag.stateproportion=0.7", "squall.consistency="+level, "table="+shape+level, "fieldcount=2"), level == "dsc")
		}
	}
}

func TestHTTPTarget(t *testing.T) {
	c := house(t, cluster.Config{NoWasm: true, Executors: 1})
	url := serve(t, c.Memory.Join("gateway"))
	conforms(t, &HTTP{URL: url, Token: "secret"}, everything(t, "table=a b/ü?&"))
	if err := (&HTTP{URL: url, Token: "wrong"}).Open(t.Context(), everything(t), 1); !fault.Is(err, fault.Unauthorized) {
		t.Errorf("wrong token: %v", err)
	}
	if err := (&HTTP{URL: "nowhere"}).Open(t.Context(), everything(t), 1); !fault.Is(err, fault.InvalidArgument) {
		t.Errorf("no URL: %v", err)
	}
}

func serve(t *testing.T, b *backbone.Backbone) string {
	t.Helper()
	g, err := gateway.New(gateway.Config{Backbone: b, Token: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- g.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		err := <-served
		g.Close()
		if err != nil {
			t.Error(err)
		}
	})
	return "http://" + l.Addr().String()
}

func TestJetStreamTarget(t *testing.T) {
	s, err := natsconn.Embed(natsconn.ServerOptions{Durability: natsconn.Memory, Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Shutdown()
	conforms(t, &JetStream{URL: s.URL()}, everything(t))
	conforms(t, &JetStream{URL: s.URL(), Blind: true}, everything(t, "table=blind"))
	if err := (&JetStream{URL: s.URL()}).Open(t.Context(), everything(t, "table=a b"), 1); !fault.Is(err, fault.InvalidArgument) {
		t.Errorf("a table that is no subject: %v", err)
	}
	if err := (&JetStream{URL: "nats://127.0.0.1:1"}).Open(t.Context(), everything(t), 1); !fault.Is(err, fault.Unreachable) {
		t.Errorf("nobody there: %v", err)
	}
}

func TestRedisTarget(t *testing.T) {
	r := newFakeRedis(t)
	target := &Redis{Address: r.address, Durability: "what I hope"}
	conforms(t, target, everything(t))
	if got := target.Traits().Durability; got != "what I hope" {
		t.Errorf("of a server that does not say: %q", got)
	}
	for want, settings := range map[string][2]string{"memory": {"no", "everysec"}, "fsync-always": {"yes", "always"}, "fsync-everysec": {"yes", "everysec"}} {
		said := newFakeRedis(t)
		said.settings = map[string]string{"appendonly": settings[0], "appendfsync": settings[1]}
		target := &Redis{Address: said.address, Durability: "what I hope"}
		if err := target.Open(t.Context(), everything(t), 1); err != nil || target.Traits().Durability != want {
			t.Errorf("of a server with %q: %q, %v, want %s", settings, target.Traits().Durability, err, want)
		}
		if err := target.Close(); err != nil {
			t.Error(err)
		}
	}
	// A connection that is lost is an error of its call, and the next call makes another one.
	lost := &Redis{Address: r.address}
	w := everything(t, "operationcount=400")
	if err := lost.Open(t.Context(), w, 2); err != nil {
		t.Fatal(err)
	}
	r.cutAfter(100)
	out, err := Do(t.Context(), Config{Workload: w, Target: lost, Threads: 2})
	if err != nil || out.Errors == 0 || out.Ops < 350 || !out.Integrity.Sound() {
		t.Errorf("%v, %d operations, %d errors, %+v", err, out.Ops, out.Errors, out.Integrity)
	}
	if err := lost.Close(); err != nil {
		t.Error(err)
	}
}

// fakeRedis is a server of six commands.
type fakeRedis struct {
	address string
	mu      sync.Mutex
	keys    map[string]string
	cut     int // commands until a connection is cut, once; 0 is never
	open    sync.WaitGroup

	settings map[string]string // that CONFIG GET tells; nil refuses it
}

func newFakeRedis(t *testing.T) *fakeRedis {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &fakeRedis{address: l.Addr().String(), keys: map[string]string{}}
	r.open.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			r.open.Go(func() { r.serve(c) })
		}
	})
	t.Cleanup(func() { l.Close(); r.open.Wait() })
	return r
}

func (r *fakeRedis) cutAfter(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cut = n
}

func (r *fakeRedis) serve(c net.Conn) {
	defer c.Close()
	in := bufio.NewReader(c)
	number := func(kind byte) int {
		line, err := in.ReadString('\n')
		if err != nil || line[0] != kind {
			return -1
		}
		n, _ := strconv.Atoi(strings.TrimSpace(line[1:]))
		return n
	}
	for {
		words := make([]string, max(number('*'), 0))
		for i := range words {
			b := make([]byte, max(number('$'), 0)+2)
			if _, err := io.ReadFull(in, b); err != nil {
				return
			}
			words[i] = string(b[:len(b)-2])
		}
		if len(words) == 0 || !r.answer(c, words) {
			return
		}
	}
}

func (r *fakeRedis) answer(c io.Writer, words []string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cut > 0 {
		if r.cut--; r.cut == 0 {
			return false
		}
	}
	get := func(key string) string {
		v, ok := r.keys[key]
		if !ok {
			return "$-1\r\n"
		}
		return fmt.Sprintf("$%d\r\n%s\r\n", len(v), v)
	}
	answer := "-ERR unknown command\r\n"
	switch words[0] {
	case "PING":
		answer = "+PONG\r\n"
	case "GET":
		answer = get(words[1])
	case "SET":
		r.keys[words[1]] = words[2]
		answer = "+OK\r\n"
	case "INCR":
		n, _ := strconv.Atoi(r.keys[words[1]])
		r.keys[words[1]] = strconv.Itoa(n + 1)
		answer = fmt.Sprintf(":%d\r\n", n+1)
	case "CONFIG":
		if v, ok := r.settings[words[2]]; ok {
			answer = fmt.Sprintf("*2\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n", len(words[2]), words[2], len(v), v)
		}
	case "MGET":
		answer = fmt.Sprintf("*%d\r\n", len(words)-1)
		for _, k := range words[1:] {
			answer += get(k)
		}
	}
	_, err := io.WriteString(c, answer)
	return err == nil
}
