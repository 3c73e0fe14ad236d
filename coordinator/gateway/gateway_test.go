package gateway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/squall-faas/squall/client"
	"github.com/squall-faas/squall/coordinator/gateway"
	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/fn"
	"github.com/squall-faas/squall/internal/cluster"
	"github.com/squall-faas/squall/internal/id"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// house is a cluster with a gateway before it.
type house struct {
	t       *testing.T
	cluster *cluster.Cluster
	gateway *gateway.Gateway
	url     string

	started chan struct{} // a call of "hang" has begun
	ended   chan error    // … and its context has ended
}

// open starts a house; configure may change the gateway's Config.
func open(t *testing.T, configure ...func(*gateway.Config)) *house {
	t.Helper()
	ctx := t.Context()
	h := &house{t: t, started: make(chan struct{}, 16), ended: make(chan error, 16)}
	var err error
	if h.cluster, err = cluster.Start(ctx, cluster.Config{NoWasm: true}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.check(h.cluster.Close()) })
	c := h.cluster.Client
	for name, impl := range map[string]client.Impl{
		"increment": client.Native(func(_ fn.Context, x int) (int, error) { return x + 1, nil }),
		"square":    client.Native(func(_ fn.Context, x int) (int, error) { return x * x, nil }),
		"reverse": client.Native(func(_ fn.Context, b []byte) ([]byte, error) {
			out := make([]byte, len(b))
			for i, x := range b {
				out[len(b)-1-i] = x
			}
			return out, nil
		}),
		"empty": client.Native0(func(fn.Context) ([]int, error) { return []int{}, nil }),
		"fail":  client.Native0(func(fn.Context) (int, error) { return 0, errors.New("no more paper") }),
		"panic": client.Native0(func(fn.Context) (int, error) { panic("at the disco") }),
		"hang": client.Native0(func(c fn.Context) (int, error) {
			h.started <- struct{}{}
			<-c.Done()
			h.ended <- c.Err()
			return 0, c.Err()
		}),
	} {
		if _, err := c.Register(ctx, name, impl); err != nil {
			t.Fatal(err)
		}
	}
	b := dag.New("compose")
	b.Output("y", b.Call("sq", "square", b.Call("inc", "increment", b.Input("x"))))
	g, err := b.Build()
	h.check(err)
	_, err = c.RegisterDAG(ctx, g)
	h.check(err)

	cfg := gateway.Config{Backbone: h.cluster.Memory.Join("gateway")}
	for _, f := range configure {
		f(&cfg)
	}
	h.gateway, err = gateway.New(cfg)
	h.check(err)
	t.Cleanup(h.gateway.Close)
	s := httptest.NewServer(h.gateway.Handler())
	t.Cleanup(s.Close)
	h.url = s.URL
	return h
}

func (h *house) check(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

// answer is a response, read.
type answer struct {
	status int
	header http.Header
	body   string
}

func (a answer) json(t *testing.T) map[string]any {
	t.Helper()
	var x map[string]any
	if err := json.Unmarshal([]byte(a.body), &x); err != nil {
		t.Fatalf("%d %q: %v", a.status, a.body, err)
	}
	return x
}

// do makes a request; headers are pairs.
func (h *house) do(method, path, body string, headers ...string) answer {
	h.t.Helper()
	return h.doContext(h.t.Context(), method, path, strings.NewReader(body), headers...)
}

func (h *house) doContext(ctx context.Context, method, path string, body io.Reader, headers ...string) answer {
	h.t.Helper()
	a, err := h.try(ctx, method, path, body, headers...)
	h.check(err)
	return a
}

var plain = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

func (h *house) try(ctx context.Context, method, path string, body io.Reader, headers ...string) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, method, h.url+path, body)
	if err != nil {
		return answer{}, err
	}
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i] == "Host" {
			req.Host = headers[i+1]
		}
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := plain.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return answer{res.StatusCode, res.Header, string(b)}, err
}

// want fails unless the answer is that.
func (h *house) want(a answer, status int, body string) {
	h.t.Helper()
	if a.status != status || strings.TrimSpace(a.body) != body {
		h.t.Fatalf("got %d %s, want %d %s", a.status, a.body, status, body)
	}
}

// problem fails unless the answer is a problem of that status and code, complete.
func (h *house) problem(a answer, status int, code string) map[string]any {
	h.t.Helper()
	if a.status != status || a.header.Get("Content-Type") != "application/problem+json" {
		h.t.Fatalf("got %d %s %s, want %d %s", a.status, a.header.Get("Content-Type"), a.body, status, code)
	}
	p := a.json(h.t)
	if p["code"] != code || p["status"] != float64(status) || p["type"] != "urn:squall:fault:"+code || p["title"] == "" || p["detail"] == "" {
		h.t.Fatalf("want %s, got %s", code, a.body)
	}
	return p
}

func TestCallFunction(t *testing.T) {
	h := open(t)
	h.want(h.do("POST", "/v1/functions/increment/calls", "[41]"), 200, "42")
	h.want(h.do("POST", "/v1/functions/increment/calls", `{"args":[41]}`, "Content-Type", "application/json"), 200, "42")
	h.want(h.do("POST", "/v1/functions/empty/calls", ""), 200, "[]")
	a := h.do("POST", "/v1/functions/reverse/calls", "\x00\xffab", "Content-Type", "application/octet-stream", "Accept", "application/octet-stream")
	h.want(a, 200, "ba\xff\x00")
	if got := a.header.Get("Content-Type"); got != "application/octet-stream" {
		t.Fatalf("content type %s", got)
	}
	h.want(h.do("POST", "/v1/functions/reverse/calls", `[{"$bytes":"AQI="}]`), 200, `{"$bytes":"AgE="}`)
	h.want(h.do("POST", "/v1/functions/increment/calls", "[1]", "Accept", "application/cbor"), 200, "\x02")

	a = h.do("POST", "/v1/functions/increment/calls?trace", "[1]")
	if !strings.Contains(a.header.Get("Server-Timing"), ";dur=") || a.header.Get("Squall-Run") == "" {
		t.Fatalf("trace: %v", a.header)
	}
}

// The level and the acknowledgement reach the functions.
func TestConsistencyOfCalls(t *testing.T) {
	h := open(t)
	put := func(c fn.Context, key string) (int, error) {
		return 0, errors.Join(fn.Put(c, key+"1", 7), fn.Put(c, key+"2", 7))
	}
	_, err := h.cluster.Client.Register(t.Context(), "put", client.Native(put))
	h.check(err)
	b := dag.New("puts")
	b.Output("y", b.Call("p", "put", b.Input("key")))
	g, err := b.Build()
	h.check(err)
	_, err = h.cluster.Client.RegisterDAG(t.Context(), g)
	h.check(err)
	h.want(h.do("POST", "/v1/functions/put/calls", `["a"]`, "Squall-Ack", "stored"), 200, "0")
	h.want(h.do("POST", "/v1/functions/put/calls", `["a"]`, "Squall-Priority", "-10"), 200, "0")
	h.want(h.do("GET", "/v1/kv/a2", ""), 200, "7")
	h.problem(h.do("POST", "/v1/functions/put/calls", `["a"]`, "Squall-Consistency", "txn"), 422, "txn_cross_shard")
	h.want(h.do("POST", "/v1/functions/put/calls", `["{a}"]`, "Squall-Consistency", "txn"), 200, "0")
	h.problem(h.do("POST", "/v1/dags/puts/runs", `{"inputs":{"key":"a"}}`, "Squall-Consistency", "txn"), 422, "txn_cross_shard")
	for _, path := range []string{"/v1/functions/put/calls", "/v1/dags/puts/runs"} {
		h.problem(h.do("POST", path, "", "Squall-Consistency", "strongest"), 400, "invalid_argument")
		h.problem(h.do("POST", path, "", "Squall-Ack", "fsync"), 400, "invalid_argument")
		for _, bad := range []string{"high", "11", "-11", ""} {
			h.problem(h.do("POST", path, "", "Squall-Priority", bad), 400, "invalid_argument")
		}
	}
}

func TestCallFailures(t *testing.T) {
	h := open(t)
	for _, c := range []struct {
		name, method, path, body string
		headers                  []string
		status                   int
		code                     string
	}{
		{"unknown function", "POST", "/v1/functions/nope/calls", "[]", nil, 404, "unknown_function"},
		{"unknown function, async", "POST", "/v1/functions/nope/calls", "[]", []string{"Prefer", "respond-async"}, 404, "unknown_function"},
		{"unknown dag", "POST", "/v1/dags/nope/runs", "{}", nil, 404, "unknown_dag"},
		{"unknown dag, async", "POST", "/v1/dags/nope/runs", "{}", []string{"Prefer", "respond-async"}, 404, "unknown_dag"},
		{"unknown dag, durable", "POST", "/v1/dags/nope/runs?durable", "{}", nil, 404, "unknown_dag"},
		{"name with a dot", "POST", "/v1/functions/a.b/calls", "[]", nil, 400, "invalid_name"},
		{"name with a wildcard", "POST", "/v1/functions/%3E/calls", "[]", nil, 400, "invalid_name"},
		{"name with a slash", "POST", "/v1/functions/a%2Fb/calls", "[]", nil, 400, "invalid_name"},
		{"name with CR LF", "POST", "/v1/functions/a%0d%0ab/calls", "[]", nil, 400, "invalid_name"},
		{"name too long", "POST", "/v1/dags/" + strings.Repeat("a", 300) + "/runs", "", nil, 400, "invalid_name"},
		{"name not UTF-8", "POST", "/v1/functions/%ff/calls", "[]", nil, 400, "invalid_name"},
		{"up the path", "POST", "/v1/functions/%2e%2e/calls", "[]", nil, 400, "invalid_name"},
		{"wrong arity", "POST", "/v1/functions/increment/calls", "[1,2]", nil, 422, "wrong_arity"},
		{"wrong type", "POST", "/v1/functions/increment/calls", `["a"]`, nil, 422, "wrong_type"},
		{"missing input", "POST", "/v1/dags/compose/runs", "{}", nil, 422, "wrong_arity"},
		{"input too much", "POST", "/v1/dags/compose/runs", `{"inputs":{"x":1,"z":2}}`, nil, 422, "wrong_arity"},
		{"input twice", "POST", "/v1/dags/compose/runs", `{"inputs":{"x":1,"x":2}}`, nil, 400, "invalid_argument"},
		{"function error", "POST", "/v1/functions/fail/calls", "", nil, 422, "function_error"},
		{"function panic", "POST", "/v1/functions/panic/calls", "", nil, 422, "function_panic"},
		{"timeout", "POST", "/v1/functions/hang/calls?timeout=50ms", "", nil, 504, "deadline_exceeded"},
		{"malformed JSON", "POST", "/v1/functions/increment/calls", "[1", nil, 400, "invalid_argument"},
		{"trailing JSON", "POST", "/v1/functions/increment/calls", `{"args":[1]} x`, nil, 400, "invalid_argument"},
		{"no list", "POST", "/v1/functions/increment/calls", "1", nil, 400, "invalid_argument"},
		{"other field", "POST", "/v1/functions/increment/calls", `{"arg":[1]}`, nil, 400, "invalid_argument"},
		{"not UTF-8", "POST", "/v1/functions/increment/calls", "[\"\xff\"]", nil, 400, "invalid_argument"},
		{"inputs no object", "POST", "/v1/dags/compose/runs", `{"inputs":[1]}`, nil, 400, "invalid_argument"},
		{"misspelt parameter", "POST", "/v1/dags/compose/runs?durabel=true", "{}", nil, 400, "invalid_argument"},
		{"bad timeout", "POST", "/v1/functions/increment/calls?timeout=2", "[1]", nil, 400, "invalid_argument"},
		{"timeout over the limit", "POST", "/v1/functions/increment/calls?timeout=9000h", "[1]", nil, 400, "invalid_argument"},
		{"bad durable", "POST", "/v1/functions/increment/calls", "[1]", []string{"Squall-Durable", "perhaps"}, 400, "invalid_argument"},
		{"long key", "POST", "/v1/functions/increment/calls", "[1]", []string{"Idempotency-Key", strings.Repeat("k", 300)}, 400, "invalid_argument"},
		{"compressed", "POST", "/v1/functions/increment/calls", "\x1f\x8b", []string{"Content-Encoding", "gzip"}, 415, "unsupported"},
		{"other media", "POST", "/v1/functions/increment/calls", "<a/>", []string{"Content-Type", "application/xml"}, 415, "unsupported"},
		{"other charset", "POST", "/v1/functions/increment/calls", "[1]", []string{"Content-Type", "application/json; charset=latin1"}, 415, "unsupported"},
		{"other origin", "POST", "/v1/functions/increment/calls", "[1]", []string{"Origin", "https://evil.example"}, 403, "unauthorized"},
		{"no endpoint", "GET", "/v2/", "", nil, 404, "not_found"},
		{"no method", "PATCH", "/v1/runs", "", nil, 405, "invalid_argument"},
		{"no run id", "GET", "/v1/runs/x", "", nil, 404, "unknown_run"},
		{"unknown run", "GET", "/v1/runs/0190a2c4-0000-7000-8000-000000000000", "", nil, 404, "unknown_run"},
		{"cancel an unknown run", "DELETE", "/v1/runs/0190a2c4-0000-7000-8000-000000000000", "", nil, 404, "unknown_run"},
		{"read an unknown dag", "GET", "/v1/dags/nope", "", nil, 404, "unknown_dag"},
		{"read an unknown function", "GET", "/v1/functions/nope", "", nil, 404, "unknown_function"},
		{"forget an unknown function", "DELETE", "/v1/functions/nope", "", nil, 404, "unknown_function"},
		{"no module", "PUT", "/v1/functions/f", "MZ", []string{"Content-Type", "application/wasm"}, 422, "invalid_module"},
		{"module as JSON", "PUT", "/v1/functions/f", "{}", []string{"Content-Type", "application/json"}, 415, "unsupported"},
		{"cyclic dag", "PUT", "/v1/dags/c", "name: c\nnodes:\n  a: {call: increment, args: [$b]}\n  b: {call: increment, args: [$a]}\noutputs: {y: $a}\n", nil, 422, "invalid_dag"},
		{"dag of a function that is not there", "PUT", "/v1/dags/c", "name: c\nnodes:\n  a: {call: nope, args: []}\noutputs: {y: $a}\n", nil, 404, "unknown_function"},
		{"dag of another name", "PUT", "/v1/dags/d", "name: c\nnodes:\n  a: {call: empty, args: []}\noutputs: {y: $a}\n", nil, 400, "invalid_argument"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := *h
			h.t = t
			h.problem(h.do(c.method, c.path, c.body, c.headers...), c.status, c.code)
			h.want(h.do("POST", "/v1/functions/increment/calls", "[1]"), 200, "2") // the house goes on
		})
	}
	p := h.problem(h.do("POST", "/v1/functions/fail/calls", ""), 422, "function_error")
	if p["run"] == nil || p["function"] != "fail" || p["retryable"] != false {
		t.Fatalf("place of the error: %v", p)
	}
	if a := h.do("PATCH", "/v1/runs", ""); a.header.Get("Allow") != "GET" {
		t.Fatalf("Allow: %q", a.header.Get("Allow"))
	}
}

func TestRunDAG(t *testing.T) {
	h := open(t)
	x := h.do("POST", "/v1/dags/compose/runs?trace=true", `{"inputs":{"x":2}}`).json(t)
	if x["state"] != "succeeded" || x["outputs"].(map[string]any)["y"] != 9.0 || len(x["nodes"].([]any)) != 2 {
		t.Fatalf("%v", x)
	}
	a := h.do("POST", "/v1/dags/compose/runs?durable=true", `{"inputs":{"x":3}}`, "Prefer", "wait=5, respond-async")
	at := a.header.Get("Location")
	if run := a.json(t); a.status != 202 || at != "/v1/runs/"+run["run"].(string) || run["state"] != "running" {
		t.Fatalf("%d %s %s", a.status, at, a.body)
	}
	x = h.do("GET", at+"?wait=10s", "").json(t)
	if x["state"] != "succeeded" || x["outputs"].(map[string]any)["y"] != 16.0 || x["durable"] != true || x["ended"] == nil {
		t.Fatalf("%v", x)
	}
	if runs := h.do("GET", "/v1/runs?limit=10", "").json(t)["runs"].([]any); len(runs) != 2 {
		t.Fatalf("%v", runs)
	}
	// A durable run that is waited for.
	x = h.do("POST", "/v1/dags/compose/runs", `{"inputs":{"x":4}}`, "Squall-Durable", "true").json(t)
	if x["outputs"].(map[string]any)["y"] != 25.0 {
		t.Fatalf("%v", x)
	}
}

func TestIdempotencyKey(t *testing.T) {
	h := open(t)
	var wg sync.WaitGroup
	runs := make([]string, 8)
	for i := range runs {
		wg.Go(func() {
			a, err := h.try(t.Context(), "POST", "/v1/dags/compose/runs", strings.NewReader(`{"inputs":{"x":2}}`), "Idempotency-Key", "k1", "Squall-Durable", "true")
			if err == nil && a.status == 200 {
				runs[i] = a.header.Get("Squall-Run")
			}
		})
	}
	wg.Wait()
	for _, r := range runs {
		if r == "" || r != runs[0] {
			t.Fatalf("one key, several runs: %q", runs)
		}
	}
	// The SDK's key is the same key.
	out, err := h.cluster.Client.CallDAG(t.Context(), "compose", client.Inputs{"x": 2}, client.IdempotencyKey("k1"), client.Durable())
	h.check(err)
	if out.Run() != runs[0] {
		t.Fatalf("the SDK made run %s, HTTP %s", out.Run(), runs[0])
	}
	// Its run goes on when its client goes away, and its outcome is there for the one that comes back.
	a := h.do("POST", "/v1/functions/hang/calls", "", "Idempotency-Key", "k2", "Prefer", "respond-async")
	<-h.started
	b := h.do("POST", "/v1/functions/hang/calls", "", "Idempotency-Key", "k2", "Prefer", "respond-async")
	if a.status != 202 || b.status != 202 || a.body != b.body {
		t.Fatalf("%v %v", a, b)
	}
	h.do("DELETE", a.header.Get("Location"), "")
	<-h.ended
}

func TestClientGone(t *testing.T) {
	h := open(t)
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error, 1)
	go func() {
		_, err := h.try(ctx, "POST", "/v1/functions/hang/calls", http.NoBody)
		gone <- err
	}()
	<-h.started
	cancel()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	<-h.ended // the function's context has ended, long before its minute is over

	// With a key the run goes on, and the client that comes back is answered.
	ctx, cancel = context.WithCancel(t.Context())
	go func() {
		_, err := h.try(ctx, "POST", "/v1/functions/hang/calls", http.NoBody, "Idempotency-Key", "k")
		gone <- err
	}()
	<-h.started
	cancel()
	<-gone
	back := make(chan answer, 1)
	go func() {
		a, _ := h.try(t.Context(), "POST", "/v1/functions/hang/calls", http.NoBody, "Idempotency-Key", "k")
		back <- a
	}()
	run := id.RunFromKey("function/hang", "k").String()
	if a := h.do("DELETE", "/v1/runs/"+run, ""); a.status != 202 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	h.problem(<-back, 499, "cancelled")
	<-h.ended
	if len(h.started) != 0 {
		t.Fatal("the call with a key ran twice")
	}
}

func TestWaitAndCancel(t *testing.T) {
	h := open(t)
	at := h.do("POST", "/v1/functions/hang/calls", "", "Prefer", "respond-async").header.Get("Location")
	<-h.started
	if x := h.do("GET", at+"?wait=10ms", "").json(t); x["state"] != "running" {
		t.Fatalf("%v", x)
	}
	ended := make(chan answer, 3)
	for range cap(ended) { // several wait for one run
		go func() {
			a, _ := h.try(t.Context(), "GET", at+"?wait=30s", http.NoBody)
			ended <- a
		}()
	}
	if a := h.do("DELETE", at, ""); a.status != 202 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	for range cap(ended) {
		x := (<-ended).json(t)
		if x["state"] != "failed" || x["error"].(map[string]any)["code"] != "cancelled" {
			t.Fatalf("%v", x)
		}
	}
	<-h.ended
}

func TestRegistry(t *testing.T) {
	h := open(t)
	file := "name: twice\ninputs: [x]\nnodes:\n  a: {call: increment, args: [$x]}\n  b: {call: increment, args: [$a]}\noutputs: {y: $b}\n"
	x := h.do("PUT", "/v1/dags/twice", file, "Content-Type", "application/yaml").json(t)
	if x["name"] != "twice" || x["version"] == "" || x["nodes"] != 2.0 {
		t.Fatalf("%v", x)
	}
	if y := h.do("POST", "/v1/dags/twice/runs", `{"inputs":{"x":1}}`).json(t); y["outputs"].(map[string]any)["y"] != 3.0 {
		t.Fatalf("%v", y)
	}
	asJSON := h.do("GET", "/v1/dags/twice", "")
	asYAML := h.do("GET", "/v1/dags/twice", "", "Accept", "application/yaml")
	for _, a := range []answer{asJSON, asYAML} {
		g, err := dag.Parse([]byte(a.body))
		h.check(err)
		if dag.Hash(g) != x["version"] || a.header.Get("ETag") != `"`+x["version"].(string)+`"` {
			t.Fatalf("%s is not version %s", a.body, x["version"])
		}
	}
	if n := len(h.do("GET", "/v1/dags", "").json(t)["dags"].([]any)); n != 2 {
		t.Fatalf("%d DAGs", n)
	}
	if a := h.do("DELETE", "/v1/dags/twice", ""); a.status != 204 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	h.problem(h.do("POST", "/v1/dags/twice/runs", `{"inputs":{"x":1}}`), 404, "unknown_dag")

	if n := len(h.do("GET", "/v1/functions", "").json(t)["functions"].([]any)); n != 7 {
		t.Fatalf("%d functions", n)
	}
	if f := h.do("GET", "/v1/functions/fail", "").json(t); f["kind"] != "native" {
		t.Fatalf("%v", f)
	}
	if a := h.do("DELETE", "/v1/functions/fail", ""); a.status != 204 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	h.problem(h.do("POST", "/v1/functions/fail/calls", ""), 404, "unknown_function")
}

func TestTooLarge(t *testing.T) {
	h := open(t, func(c *gateway.Config) { c.MaxBody = 2 << 20 })
	big := strings.Repeat("a", 3<<20)
	if p := h.problem(h.do("PUT", "/v1/kv/k", big), 413, "too_large"); !strings.Contains(fmt.Sprint(p["detail"]), "squall kv put") {
		t.Fatalf("%v", p)
	}
	if p := h.problem(h.do("POST", "/v1/functions/fail/calls", big), 413, "too_large"); !strings.Contains(fmt.Sprint(p["detail"]), "references") {
		t.Fatalf("%v", p)
	}
	// Without a length to go by.
	h.problem(h.doContext(t.Context(), "PUT", "/v1/kv/k", io.MultiReader(strings.NewReader(big))), 413, "too_large")
	h.want(h.do("PUT", "/v1/kv/k", big[:2<<20]), 204, "")
	h.want(h.do("GET", "/v1/kv/k", ""), 200, big[:2<<20])
}

func TestOverloaded(t *testing.T) {
	h := open(t, func(c *gateway.Config) { c.MaxLarge = 1 })
	first, rest := io.Pipe()
	done := make(chan answer, 1)
	go func() {
		a, _ := h.try(t.Context(), "PUT", "/v1/kv/first", first)
		done <- a
	}()
	// Once more is written than sockets hold, the gateway has read more than any request may without a place.
	_, err := rest.Write(bytes.Repeat([]byte("a"), 32<<20))
	h.check(err)
	a := h.do("PUT", "/v1/kv/second", strings.Repeat("a", 2<<20))
	if h.problem(a, 429, "overloaded")["retry_after"] != 1.0 || a.header.Get("Retry-After") != "1" {
		t.Fatal(a.body)
	}
	h.want(h.do("PUT", "/v1/kv/small", "a"), 204, "") // small ones need none
	h.check(rest.Close())
	if a := <-done; a.status != 204 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	h.want(h.do("PUT", "/v1/kv/second", strings.Repeat("a", 2<<20)), 204, "")
}
