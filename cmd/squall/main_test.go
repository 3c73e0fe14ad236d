package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/squall-faas/squall"
	"github.com/squall-faas/squall/client"
	"github.com/squall-faas/squall/fn"
)

func TestMain(m *testing.M) {
	for _, name := range append(settingNames, "context", "http-token", "config") {
		_ = os.Unsetenv("SQUALL_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))) // the developer's own
	}
	_ = os.Unsetenv("NATS_URL")
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/nats-io/nats-server/v2/server.init.0.func1"))
}

// shell runs commands against one cluster.
type shell struct {
	t   *testing.T
	url string
	dir string

	started chan struct{} // a call of "hang" has begun
}

// isolate gives the test a configuration and directories of its own.
func isolate(t *testing.T) *shell {
	sh := &shell{t: t, dir: t.TempDir(), started: make(chan struct{}, 16)}
	t.Setenv("SQUALL_CONFIG", filepath.Join(sh.dir, "config.yaml"))
	t.Setenv("XDG_DATA_HOME", filepath.Join(sh.dir, "data"))
	t.Setenv("XDG_CACHE_HOME", filepath.Join(sh.dir, "cache"))
	return sh
}

// open starts a cluster behind a socket.
func open(t *testing.T) *shell {
	sh := isolate(t)
	ctx := t.Context()
	s, err := squall.Open(ctx, squall.Config{Dir: filepath.Join(sh.dir, "nats"), Listen: "127.0.0.1:0"})
	sh.check(err)
	t.Cleanup(func() { sh.check(s.Close()) })
	for name, impl := range map[string]client.Impl{
		"increment": client.Native(func(_ fn.Context, x int) (int, error) { return x + 1, nil }),
		"square":    client.Native(func(_ fn.Context, x int) (int, error) { return x * x, nil }),
		"greet":     client.Native(func(_ fn.Context, s string) (string, error) { return "hello, " + s, nil }),
		"size":      client.Native(func(_ fn.Context, b []byte) (int, error) { return len(b), nil }),
		"echo":      client.Native(func(_ fn.Context, b []byte) ([]byte, error) { return b, nil }),
		"fail":      client.Native0(func(fn.Context) (int, error) { return 0, errors.New("no more paper") }),
		"hang": client.Native0(func(c fn.Context) (int, error) {
			sh.started <- struct{}{}
			<-c.Done()
			return 0, c.Err()
		}),
	} {
		_, err := s.Register(ctx, name, impl)
		sh.check(err)
	}
	sh.url = s.URL()
	return sh
}

func (sh *shell) check(err error) {
	sh.t.Helper()
	if err != nil {
		sh.t.Fatal(err)
	}
}

func (sh *shell) file(name, content string) string {
	sh.t.Helper()
	path := filepath.Join(sh.dir, name)
	sh.check(os.WriteFile(path, []byte(content), 0o600))
	return path
}

// run runs one command line with stdin.
func (sh *shell) run(stdin string, args ...string) (code int, out, errs string) {
	sh.t.Helper()
	if sh.url != "" {
		args = append([]string{"-s", sh.url}, args...)
	}
	var o, e bytes.Buffer
	code = execute(sh.t.Context(), args, strings.NewReader(stdin), &o, &e)
	return code, o.String(), e.String()
}

// ok runs a command line that must succeed, and gives its stdout.
func (sh *shell) ok(args ...string) string {
	sh.t.Helper()
	code, out, errs := sh.run("", args...)
	if code != 0 || errs != "" {
		sh.t.Fatalf("%q: exit %d, stderr %q", args, code, errs)
	}
	return out
}

// want runs a command line and compares its stdout.
func (sh *shell) want(out string, args ...string) {
	sh.t.Helper()
	if got := sh.ok(args...); got != out {
		sh.t.Fatalf("%q: got %q, want %q", args, got, out)
	}
}

// fails runs a command line that must fail so: exit code, and words of stderr.
func (sh *shell) fails(code int, words string, args ...string) {
	sh.t.Helper()
	got, out, errs := sh.run("", args...)
	if got != code || !strings.Contains(errs, words) || out != "" {
		sh.t.Fatalf("%q: exit %d, stdout %q, stderr %q; want exit %d, %q", args, got, out, errs, code, words)
	}
}

func (sh *shell) json(args ...string) (x map[string]any) {
	sh.t.Helper()
	out := sh.ok(append([]string{"-o", "json"}, args...)...)
	if err := json.Unmarshal([]byte(out), &x); err != nil {
		sh.t.Fatalf("%q: %q: %v", args, out, err)
	}
	return x
}

const composeFile = `name: compose
inputs: [x]
nodes:
  inc: {call: increment, args: [$x]}
  sq: {call: square, args: [$inc]}
outputs: {y: $sq}
`

func TestCall(t *testing.T) {
	sh := open(t)
	sh.want("42\n", "call", "increment", "41")
	sh.want("-4\n", "call", "increment", "--", "-5")
	sh.want("hello, World\n", "call", "greet", `"World"`)
	sh.want("hello, 41\n", "call", "greet", "--string", "41")
	sh.want("\"hello, 41\"\n", "call", "greet", "--string", "41", "-o", "json")
	sh.want("3\n", "call", "size", "@"+sh.file("three", "abc"))
	if code, out, _ := sh.run("\x00\xff", "call", "echo", "-"); code != 0 || out != "\x00\xff" {
		t.Fatalf("exit %d, %q", code, out)
	}
	sh.want("{\n  \"$bytes\": \"AA==\"\n}\n", "call", "echo", `{"$bytes":"AA=="}`, "-o", "json")
	sh.ok("kv", "put", "five", "5")
	sh.want("6\n", "call", "increment", "--ref", "five")
	sh.want("6\n", "call", "increment", `{"$ref":"five"}`)

	sh.fails(1, "unknown_function", "call", "nope")
	sh.fails(1, "squall fn ls", "call", "nope")
	sh.fails(1, "no more paper", "call", "fail")
	sh.fails(2, "wrong_arity", "call", "increment", "1", "2")
	sh.fails(2, "wrong_type", "call", "increment", `"a"`)
	sh.fails(2, "--string", "call", "greet", "World")
	sh.fails(2, "no such file", "call", "size", "@"+filepath.Join(sh.dir, "nope"))
	sh.fails(2, "invalid_name", "call", "a.b")
	sh.fails(3, "deadline_exceeded", "call", "hang", "--timeout", "300ms")
	sh.fails(2, "see 'squall call --help'", "call")
	sh.fails(2, "unknown flag", "call", "increment", "--nope")
	sh.fails(2, "unknown command", "cal")
	sh.fails(2, "check, explain, get, ls, put, rm", "dag")
	sh.fails(2, "output form", "call", "increment", "1", "-o", "xml")
	sh.fails(2, "timeout", "--timeout", "-1s", "status")
	sh.fails(2, "log level", "--log-level", "loud", "status")

	_, _, errs := sh.run("", "call", "fail", "-o", "json")
	var e map[string]any
	if err := json.Unmarshal([]byte(errs), &e); err != nil || e["code"] != "function_error" || e["function"] != "fail" || e["run"] == "" {
		t.Fatalf("%q: %v", errs, err)
	}
}

func TestRun(t *testing.T) {
	sh := open(t)
	file := sh.file("compose.yaml", composeFile)
	if out := sh.ok("dag", "put", file); !strings.HasPrefix(out, "compose ") {
		t.Fatal(out)
	}
	sh.want("y = 9\n", "run", "compose", "x=2")
	if x := sh.json("run", "compose", "x=3"); x["state"] != "succeeded" || x["outputs"].(map[string]any)["y"] != 16.0 {
		t.Fatalf("%v", x)
	}
	if out := sh.ok("run", "compose", "x=2", "--trace"); !strings.Contains(out, "LONGEST") || !strings.Contains(out, "\nsq ") {
		t.Fatal(out)
	}
	sh.ok("kv", "put", "two", "2")
	sh.want("y = 9\n", "run", "compose", "--ref", "x=two")

	id := strings.TrimSpace(sh.ok("run", "compose", "x=4", "--async", "--durable", "--idempotency-key", "k"))
	sh.want("y = 25\n", "run", "wait", id)
	sh.want("y = 25\n", "run", "get", id)
	sh.want(id+"\n", "run", "compose", "x=4", "--async", "--durable", "--idempotency-key", "k")

	id = strings.TrimSpace(sh.ok("call", "hang", "--async"))
	<-sh.started
	sh.want("running\n", "run", "get", id)
	sh.fails(3, "deadline", "run", "wait", id, "--timeout", "50ms")
	sh.ok("run", "cancel", id)
	sh.fails(1, "cancelled", "run", "wait", id)
	if out := sh.ok("run", "get", id); !strings.HasPrefix(out, "failed\n") {
		t.Fatal(out)
	}
	if out := sh.ok("run", "ls"); !strings.Contains(out, id) || !strings.Contains(out, "cancelled") {
		t.Fatal(out)
	}
	sh.fails(1, "unknown_dag", "run", "nope")
	sh.fails(1, "unknown_dag", "run", "nope", "--async")
	sh.fails(1, "unknown_run", "run", "wait", "0190a2c4-0000-7000-8000-000000000000")
	sh.fails(1, "unknown_run", "run", "get", "x")
	sh.fails(2, "wrong_arity", "run", "compose")
	sh.fails(2, "twice", "run", "compose", "x=1", "x=2")
	sh.fails(2, "name=value", "run", "compose", "x")
	sh.fails(2, "input x", "run", "compose", "x=a")
}

func TestRegistry(t *testing.T) {
	sh := open(t)
	file := sh.file("compose.yaml", composeFile)
	if out := sh.ok("dag", "check", file); !strings.Contains(out, "in order") {
		t.Fatal(out)
	}
	sh.ok("dag", "put", file)
	yaml := sh.ok("dag", "get", "compose")
	if sh.ok("dag", "get", "compose", "-o", "yaml") != yaml {
		t.Fatal("yaml is not the default")
	}
	again := sh.file("again.json", sh.ok("dag", "get", "compose", "-o", "json"))
	if a, b := sh.json("dag", "check", file), sh.json("dag", "check", again); a["version"] != b["version"] {
		t.Fatalf("%v %v", a, b)
	}
	if out := sh.ok("dag", "ls"); !strings.Contains(out, "compose  ") {
		t.Fatal(out)
	}
	sh.ok("dag", "rm", "compose")
	sh.fails(1, "unknown_dag", "dag", "rm", "compose")
	sh.fails(1, "unknown_dag", "dag", "get", "compose")
	sh.fails(2, "cycle", "dag", "check", sh.file("cycle.yaml", "name: c\nnodes:\n  a: {call: f, args: [$b]}\n  b: {call: f, args: [$a]}\noutputs: {y: $a}\n"))
	sh.fails(1, "unknown_function", "dag", "put", sh.file("nope.yaml", "name: c\nnodes:\n  a: {call: nope}\noutputs: {y: $a}\n"))

	if out := sh.ok("fn", "ls", "-o", "jsonl"); strings.Count(out, "\n") != 7 || !strings.Contains(out, `"name":"greet"`) {
		t.Fatal(out)
	}
	sh.ok("fn", "rm", "greet")
	sh.fails(1, "unknown_function", "fn", "rm", "greet")
	sh.fails(2, "invalid_module", "fn", "put", "f", "--wasm", sh.file("f.wasm", "MZ"))
	sh.fails(2, "--wasm", "fn", "put", "f")
	sh.fails(2, "is no directory", "fn", "put", "f", "--go", filepath.Join(sh.dir, "nope"), "--symbol", "F")
	sh.fails(2, "no size", "fn", "put", "f", "--wasm", "-", "--memory", "much")
}

func TestKeyValues(t *testing.T) {
	sh := open(t)
	first := strings.TrimSpace(sh.ok("kv", "put", "a", `{"x":[1,2]}`))
	sh.want("{\"x\":[1,2]}\n", "kv", "get", "a")
	if x := sh.json("kv", "get", "a"); x["key"] != "a" || fmt.Sprint(x["revision"]) != first {
		t.Fatalf("%v", x)
	}
	sh.fails(1, "conflict", "kv", "put", "a", "1", "--create")
	sh.fails(1, "conflict", "kv", "put", "a", "1", "--if-revision", "99")
	sh.ok("kv", "put", "a", "2", "--if-revision", first)
	if code, _, errs := sh.run("\x00\xff\n", "kv", "put", "bytes", "-"); code != 0 {
		t.Fatal(errs)
	}
	sh.want("\x00\xff\n", "kv", "get", "bytes")
	sh.ok("kv", "put", "text", "--string", "hello", "--ttl", "1h")
	sh.want("hello\n", "kv", "get", "text")
	sh.ok("kv", "put", "--hex", "00ff", "1")
	sh.want("1\n", "kv", "get", "--base64", "AP8=")
	sh.want("KEY\n00ff\n", "kv", "ls", "--hex", "00")
	sh.want("KEY\n\"\\x00\\xff\"\n", "kv", "ls", "--base64=false", "--hex=false", "--", "\x00")
	sh.want("[\n  {\n    \"$bytes\": \"AP8=\"\n  }\n]\n", "kv", "ls", "--hex", "00", "-o", "json")
	sh.want("[]\n", "kv", "ls", "nothing", "-o", "json")
	sh.ok("kv", "del", "a", "nothing")
	sh.fails(1, "not_found", "kv", "get", "a")
	sh.fails(2, "invalid_key", "kv", "get", "")
	sh.fails(2, "invalid_key", "kv", "get", strings.Repeat("k", 2000))
	sh.fails(2, "invalid_key", "kv", "get", "--hex", "zz")

	// A watch sees what is written after it said that it watches.
	out, in := io.Pipe()
	ready, said := io.Pipe()
	done := make(chan int, 1)
	go func() {
		done <- execute(t.Context(), []string{"-s", sh.url, "kv", "watch", "w/", "--count", "2"}, strings.NewReader(""), in, said)
		_ = in.Close()
	}()
	_, err := bufio.NewReader(ready).ReadString('\n')
	sh.check(err)
	sh.ok("kv", "put", "w/1", "7")
	watched := bufio.NewReader(out) // of two changes of a key it may show the last alone
	line, err := watched.ReadString('\n')
	sh.check(err)
	if !strings.Contains(line, "put w/1 7") {
		t.Fatal(line)
	}
	sh.ok("kv", "del", "w/1")
	lines, err := io.ReadAll(watched)
	sh.check(err)
	if code := <-done; code != 0 || !strings.Contains(string(lines), "del w/1") {
		t.Fatalf("exit %d, %q", code, lines)
	}
}

func TestStatus(t *testing.T) {
	sh := open(t)
	x := sh.json("status")
	if es := x["executors"].([]any); len(es) != 1 || es[0].(map[string]any)["state"] != "up" || x["functions"] != 7.0 {
		t.Fatalf("%v", x)
	}
	if out := sh.ok("status"); !strings.Contains(out, "EXECUTOR") || !strings.Contains(out, sh.url) {
		t.Fatal(out)
	}
	// From the environment, and where nobody is.
	url := sh.url
	sh.url = ""
	t.Setenv("NATS_URL", url)
	sh.ok("status")
	t.Setenv("SQUALL_SERVER", "nats://127.0.0.1:1")
	sh.fails(4, "unreachable", "status")
	sh.fails(4, "squall dev", "status")
	if x := sh.json("status", "-s", url); x["namespace"] != "default" {
		t.Fatalf("%v", x)
	}
	sh.fails(2, "invalid_name", "status", "-s", url, "--namespace", "a.b")
	// A saved context stands behind all of them.
	sh.ok("context", "save", "here", "-s", url, "--select")
	sh.fails(4, "unreachable", "status")
	t.Setenv("SQUALL_SERVER", "")
	t.Setenv("NATS_URL", "")
	sh.ok("status")
	sh.ok("context", "save", "nowhere", "-s", "nats://127.0.0.1:1", "--user", "me", "--password", "secret")
	sh.fails(4, "unreachable", "status", "--context", "nowhere")
	sh.fails(2, "no context", "status", "--context", "lost")
	if out := sh.ok("context", "ls"); !strings.Contains(out, "*  here") || strings.Contains(out, "secret") {
		t.Fatal(out)
	}
	sh.ok("context", "select", "nowhere")
	sh.fails(4, "unreachable", "status")
	sh.ok("context", "rm", "nowhere")
	sh.fails(2, "no context", "context", "rm", "nowhere")
	sh.fails(2, "nothing to keep", "context", "save", "empty")
	if info, err := os.Stat(os.Getenv("SQUALL_CONFIG")); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v %v", info, err)
	}
	sh.file("config.yaml", "{")
	sh.fails(2, "config.yaml", "status")
}

func TestCredentialsOfOneLayer(t *testing.T) {
	isolate(t)
	t.Setenv("SQUALL_TOKEN", "t")
	root := (&app{in: strings.NewReader(""), out: io.Discard, errs: io.Discard}).root()
	if err := root.PersistentFlags().Set("creds", "file"); err != nil {
		t.Fatal(err)
	}
	s, err := loadSettings(root.PersistentFlags())
	if err != nil || s.Creds != "file" || s.Token != "" {
		t.Fatalf("%+v %v", s, err)
	}
}

// role is a command that runs until it is asked to end.
type role struct {
	t    *testing.T
	stop context.CancelFunc
	done chan int
	up   map[string]any // what it says once it is up
	errs *lockedBuffer
}

// lockedBuffer is a stderr that may be read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write appends.
func (l *lockedBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lockedBuffer) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func start(t *testing.T, args ...string) *role {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	r := &role{t: t, stop: stop, done: make(chan int, 1), errs: &lockedBuffer{}}
	out, in := io.Pipe()
	go func() {
		r.done <- execute(ctx, append([]string{"-o", "json"}, args...), strings.NewReader(""), in, r.errs)
		_ = in.Close()
	}()
	t.Cleanup(r.end)
	if err := json.NewDecoder(out).Decode(&r.up); err != nil {
		t.Fatalf("%q: %v: %s", args, err, r.errs.text())
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	return r
}

// end asks the role to end and waits for it. Idempotent.
func (r *role) end() {
	r.t.Helper()
	r.stop()
	code := <-r.done
	r.done <- code
	if code != 0 {
		r.t.Errorf("exit %d: %s", code, r.errs.text())
	}
}

func get(t *testing.T, url string, headers ...string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Close = true
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

func TestDev(t *testing.T) {
	sh := isolate(t)
	args := []string{"dev", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--executors", "2"}
	d := start(t, args...)
	sh.url = d.up["nats"].(string)
	if n := len(sh.json("status")["executors"].([]any)); n != 2 {
		t.Fatalf("%d executors", n)
	}
	sh.ok("kv", "put", "kept", "1")
	if code, body := get(t, d.up["http"].(string)+"/readyz"); code != 200 {
		t.Fatalf("%d %s", code, body)
	}
	if code, body := get(t, d.up["http"].(string)+"/metrics"); code != 200 || !strings.Contains(body, "squall_coordinator_executors_up 2") {
		t.Fatalf("%d %s", code, body)
	}
	sh.fails(2, "in use by another server", "dev", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0")
	sh.fails(2, "another port", "dev", "--http", strings.TrimPrefix(d.up["http"].(string), "http://"))
	d.end()
	// What was stored is there again.
	sh.url = start(t, args...).up["nats"].(string)
	sh.want("1\n", "kv", "get", "kept")
}

func TestSeparateRoles(t *testing.T) {
	sh := isolate(t)
	t.Setenv("SQUALL_TOKEN", "sesame")
	nats := start(t, "nats", "--listen", "127.0.0.1:0", "--durability", "memory")
	sh.url = nats.up["nats"].(string)
	co := start(t, "-s", sh.url, "coordinator", "--gateway", "127.0.0.1:0", "--metrics", "127.0.0.1:0", "--http-token", "open")
	ex := start(t, "-s", sh.url, "executor", "--slots", "3", "--name", "one")
	for until := time.Now().Add(10 * time.Second); len(sh.json("status")["executors"].([]any)) == 0; {
		if time.Now().After(until) {
			t.Fatal("the executor is not announced")
		}
	}
	if e := sh.json("status")["executors"].([]any)[0].(map[string]any); e["name"] != "one" || e["slots"] != 3.0 {
		t.Fatalf("%v", e)
	}
	if code, _ := get(t, co.up["http"].(string)+"/v1/functions"); code != 401 {
		t.Fatalf("without the token: %d", code)
	}
	if code, body := get(t, co.up["http"].(string)+"/v1/functions", "Authorization", "Bearer open"); code != 200 {
		t.Fatalf("%d %s", code, body)
	}
	if code, body := get(t, co.up["metrics"].(string)+"/metrics"); code != 200 || !strings.Contains(body, "squall_coordinator_executors 1") {
		t.Fatalf("%d %s", code, body)
	}
	t.Setenv("SQUALL_TOKEN", "wrong")
	sh.fails(1, "unauthorized", "status")
	ex.end()
	co.end()
	nats.end()
}

func TestListening(t *testing.T) {
	sh := isolate(t)
	sh.fails(2, "--insecure-listen", "nats", "--listen", "0.0.0.0:0")
	sh.fails(2, "--insecure-listen", "dev", "--http", "0.0.0.0:0")
	sh.fails(2, "--insecure-listen", "coordinator", "--gateway", "0.0.0.0:0")
	sh.fails(2, "--insecure-listen", "coordinator", "--metrics", "192.0.2.1:0")
	sh.fails(2, "host:port", "nats", "--listen", "4222")
	sh.fails(2, "durability", "nats", "--durability", "eternal")
	const users = "authorization { token: x }\n"
	for what, c := range map[string]struct{ text, remedy string }{
		"NATS":                  {"listen: 0.0.0.0:4222", "authorization"},
		"NATS would":            {"accounts { A { users: [{ user: a, password: b }] } }\nno_auth_user: a", "no_auth_user"},
		"its monitoring":        {"listen: 127.0.0.1:-1\nhttp: 0.0.0.0:8222", "http on 127.0.0.1"},
		"its monitoring would":  {users + "http: 8222", "http on 127.0.0.1"},
		"its cluster":           {"listen: 127.0.0.1:-1\ncluster { name: x, listen: 0.0.0.0:6222 }", "authorization"},
		"its gateway":           {"listen: 127.0.0.1:-1\ngateway { name: x, listen: 0.0.0.0:7222 }", "authorization"},
		"its leaf nodes":        {"listen: 127.0.0.1:-1\nleafnodes { listen: 0.0.0.0:7422 }", "authorization"},
		"its websockets":        {"listen: 127.0.0.1:-1\nwebsocket { listen: 0.0.0.0:8080, no_tls: true }", "authorization"},
		"its MQTT":              {"listen: 127.0.0.1:-1\nserver_name: x\nmqtt { listen: 0.0.0.0:1883 }", "authorization"},
		"its profiles":          {"listen: 0.0.0.0:4222\n" + users + "prof_port: 6060", "no prof_port"},
		"0.0.0.0:6222, beyond":  {users + "cluster { name: x, port: 6222 }", "of cluster in "},
		"10.11.12.13:8, beyond": {users + "https: 10.11.12.13:8\nlisten: 127.0.0.1:-1", "https on 127.0.0.1"},
	} {
		code, _, errs := sh.run("", "nats", "--nats-config", sh.file("nats.conf", c.text))
		if code != 2 || !strings.Contains(errs, what) || !strings.Contains(errs, c.remedy) || !strings.Contains(errs, "nats.conf, or say --insecure-listen") {
			t.Errorf("%s: exit %d, %s", what, code, errs)
		}
	}
	// On the loopback nothing is asked for; beyond it what is told by name passes.
	start(t, "nats", "--nats-config", sh.file("nats.conf", "listen: 127.0.0.1:-1\nhttp: -1\ncluster { name: x, listen: 127.0.0.1:-1 }")).end()
	if got, err := (listening{insecure: true}).address("its monitoring", "0.0.0.0:8222", "y", false); err != nil || got != "0.0.0.0:8222" {
		t.Errorf("%s, %v", got, err)
	}
	l := listening{}
	for addr, want := range map[string]string{":80": "127.0.0.1:80", "localhost:1": "localhost:1", "[::1]:2": "[::1]:2"} {
		if got, err := l.address("x", addr, "y", false); err != nil || got != want {
			t.Errorf("%s: %s, %v", addr, got, err)
		}
	}
	if got, err := l.address("x", "0.0.0.0:80", "y", true); err != nil || got != "0.0.0.0:80" {
		t.Errorf("%s, %v", got, err)
	}
}

func TestVersion(t *testing.T) {
	sh := isolate(t)
	if x := sh.json("version"); x["version"] != squall.Version {
		t.Fatalf("%v", x)
	}
	if out := sh.ok("completion", "bash"); !strings.Contains(out, "squall") {
		t.Fatal(out)
	}
}
