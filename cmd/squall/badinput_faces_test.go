package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/squall-faas/squall/client"
	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

// face is one of the three ways in. Each gives what came of a request in the same form, and checks on the way that its
// own signs of a fault, an HTTP status or an exit code, are those of the fault's code.
type face interface {
	name() string
	call(ctx context.Context, function string, q how, args ...any) answer
	run(ctx context.Context, dag string, q how, inputs map[string]any) answer
	putDAG(ctx context.Context, name, file string) answer
	putModule(ctx context.Context, name string, code []byte) answer
	put(ctx context.Context, key string, x any, revision uint64) answer // 0 is any
	get(ctx context.Context, key string) answer
	wait(ctx context.Context, run string) answer
	cancel(ctx context.Context, run string) answer
}

// how a call is to be run.
type how struct {
	timeout time.Duration
	async   bool
	durable bool
	key     string
}

// answer is what came of a request: a fault, or a value as JSON.
type answer struct {
	code    fault.Code // "" is success
	message string
	value   string
	run     string
	broken  error // what a face found wrong with the signs of the fault
}

func failed(err error) answer {
	e := fault.From(err)
	return answer{code: e.Code, message: e.Message}
}

// compact is JSON without its layout.
func compact(b []byte) string {
	var out bytes.Buffer
	if err := json.Compact(&out, b); err != nil {
		return "no JSON: " + string(b)
	}
	return out.String()
}

func outputsJSON(names []string, get func(string) (value.Value, bool)) string {
	m := map[string]value.Value{}
	for _, n := range names {
		m[n], _ = get(n)
	}
	b, err := json.Marshal(m)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// sdk is the Go client, connected as any program outside of the cluster is.
type sdk struct{ c *client.Client }

func (sdk) name() string { return "SDK" }

func (q how) options() (out []client.CallOption) {
	if q.durable {
		out = append(out, client.Durable())
	}
	if q.key != "" {
		out = append(out, client.IdempotencyKey(q.key))
	}
	return out
}

func (q how) context(ctx context.Context) (context.Context, context.CancelFunc) {
	if q.timeout == 0 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, q.timeout)
}

func (f sdk) call(ctx context.Context, function string, q how, args ...any) answer {
	ctx, cancel := q.context(ctx)
	defer cancel()
	if q.async {
		r, err := f.c.Start(ctx, function, args, q.options()...)
		if err != nil {
			return failed(err)
		}
		return answer{run: r.ID()}
	}
	v, err := f.c.CallValue(ctx, function, args, q.options()...)
	if err != nil {
		return failed(err)
	}
	b, err := v.JSON()
	if err != nil {
		return failed(err)
	}
	return answer{value: compact(b)}
}

func (f sdk) run(ctx context.Context, dag string, q how, inputs map[string]any) answer {
	ctx, cancel := q.context(ctx)
	defer cancel()
	if q.async {
		r, err := f.c.StartDAG(ctx, dag, inputs, q.options()...)
		if err != nil {
			return failed(err)
		}
		return answer{run: r.ID()}
	}
	out, err := f.c.CallDAG(ctx, dag, inputs, q.options()...)
	if err != nil {
		return failed(err)
	}
	return answer{value: outputsJSON(out.Names(), out.Value), run: out.Run()}
}

func (f sdk) putDAG(ctx context.Context, _, file string) answer {
	g, err := dag.Parse([]byte(file))
	if err == nil {
		_, err = f.c.RegisterDAG(ctx, g)
	}
	if err != nil {
		return failed(err)
	}
	return answer{}
}

func (f sdk) putModule(ctx context.Context, name string, code []byte) answer {
	if _, err := f.c.Register(ctx, name, client.Wasm(code)); err != nil {
		return failed(err)
	}
	return answer{}
}

func (f sdk) put(ctx context.Context, key string, x any, revision uint64) (a answer) {
	v, err := value.Of(x)
	if err == nil && revision != 0 {
		_, err = f.c.Store().CompareAndSet(ctx, kvs.Key(key), v, kvs.Revision(revision), kvs.PutOptions{})
	} else if err == nil {
		err = f.c.Put(ctx, key, v)
	}
	if err != nil {
		return failed(err)
	}
	return answer{}
}

func (f sdk) get(ctx context.Context, key string) answer {
	v, err := f.c.Get(ctx, key)
	if err != nil {
		return failed(err)
	}
	b, err := v.JSON()
	if err != nil {
		return failed(err)
	}
	return answer{value: compact(b)}
}

func (f sdk) wait(ctx context.Context, run string) answer {
	r, err := f.c.Attach(ctx, run)
	if err != nil {
		return failed(err)
	}
	out, err := r.Get(ctx)
	if err != nil {
		return failed(err)
	}
	return answer{value: outputsJSON(out.Names(), out.Value), run: out.Run()}
}

func (f sdk) cancel(ctx context.Context, run string) answer {
	r, err := f.c.Attach(ctx, run)
	if err == nil {
		err = r.Cancel(ctx)
	}
	if err != nil {
		return failed(err)
	}
	return answer{}
}

// cli is the command line, run in this process.
type cli struct{ url, dir string }

func (cli) name() string { return "CLI" }

// do runs a command line with -o json and gives what it printed.
func (f cli) do(ctx context.Context, args ...string) (string, answer) {
	var out, errs bytes.Buffer
	exit := execute(ctx, append([]string{"-s", f.url, "-o", "json"}, args...), strings.NewReader(""), &out, &errs)
	if exit == 0 {
		var a answer
		if errs.Len() > 0 {
			a.broken = fmt.Errorf("a success with %q on stderr", errs.String())
		}
		return out.String(), a
	}
	var e fault.Error
	a := answer{}
	if err := json.Unmarshal(errs.Bytes(), &e); err != nil {
		a.broken = fmt.Errorf("stderr is no JSON: %q", errs.String())
	}
	a.code, a.message = e.Code, e.Message
	if want := e.Code.ExitCode(); exit != want || exit == 0 {
		a.broken = errors.Join(a.broken, fmt.Errorf("exit code %d, want %d", exit, want))
	}
	if out.Len() > 0 {
		a.broken = errors.Join(a.broken, fmt.Errorf("a failure with %q on stdout", out.String()))
	}
	return "", a
}

// argument is a value as a command line has it.
func (f cli) argument(x any) string {
	if b, ok := x.([]byte); ok {
		return "@" + f.file(b)
	}
	b, err := json.Marshal(x)
	if err != nil {
		panic(err) // the row is wrong
	}
	return string(b)
}

func (f cli) file(b []byte) string {
	path := filepath.Join(f.dir, "argument")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		panic(err)
	}
	return path
}

func (q how) flags() (out []string) {
	if q.timeout > 0 {
		out = append(out, "--timeout", q.timeout.String())
	}
	if q.async {
		out = append(out, "--async")
	}
	if q.durable {
		out = append(out, "--durable")
	}
	if q.key != "" {
		out = append(out, "--idempotency-key", q.key)
	}
	return out
}

func (f cli) call(ctx context.Context, function string, q how, args ...any) answer {
	line := append([]string{"call", function}, q.flags()...)
	line = append(line, "--")
	for _, x := range args {
		line = append(line, f.argument(x))
	}
	out, a := f.do(ctx, line...)
	return a.read(out, q.async)
}

func (f cli) run(ctx context.Context, dag string, q how, inputs map[string]any) answer {
	line := append([]string{"run", dag}, q.flags()...)
	for name, x := range inputs {
		line = append(line, name+"="+f.argument(x))
	}
	out, a := f.do(ctx, line...)
	return a.read(out, true)
}

// read takes in what was printed: a value, or a run with its outputs.
func (a answer) read(out string, run bool) answer {
	switch {
	case a.code != "" || a.broken != nil:
	case run:
		var x struct {
			Run     string
			Outputs json.RawMessage
			Error   *struct {
				Code   fault.Code
				Detail string
				Status int
			}
		}
		if a.broken = json.Unmarshal([]byte(out), &x); a.broken == nil {
			a.run = x.Run
		}
		if x.Outputs != nil {
			a.value = compact(x.Outputs)
		}
		if x.Error != nil {
			a.code, a.message, a.value = x.Error.Code, x.Error.Detail, ""
			if x.Error.Status != a.code.Status() {
				a.broken = fmt.Errorf("the run's error has status %d, want %d", x.Error.Status, a.code.Status())
			}
		}
	default:
		a.value = compact([]byte(out))
	}
	return a
}

func (f cli) putDAG(ctx context.Context, _, file string) answer {
	_, a := f.do(ctx, "dag", "put", f.file([]byte(file)))
	return a
}

func (f cli) putModule(ctx context.Context, name string, code []byte) answer {
	_, a := f.do(ctx, "fn", "put", "--wasm", f.file(code), "--", name)
	return a
}

func (f cli) put(ctx context.Context, key string, x any, revision uint64) answer {
	_, a := f.do(ctx, "kv", "put", "--base64", "--if-revision", fmt.Sprint(revision), "--", base64.StdEncoding.EncodeToString([]byte(key)), f.argument(x))
	return a
}

func (f cli) get(ctx context.Context, key string) answer {
	out, a := f.do(ctx, "kv", "get", "--base64", "--", base64.StdEncoding.EncodeToString([]byte(key)))
	var x struct{ Value json.RawMessage }
	if a.code == "" {
		a.broken = errors.Join(a.broken, json.Unmarshal([]byte(out), &x))
		a.value = compact(x.Value)
	}
	return a
}

func (f cli) wait(ctx context.Context, run string) answer {
	out, a := f.do(ctx, "run", "wait", run)
	return a.read(out, true)
}

func (f cli) cancel(ctx context.Context, run string) answer {
	_, a := f.do(ctx, "run", "cancel", run)
	return a
}

// web is the HTTP API.
type web struct {
	url string
	c   *http.Client
}

func (web) name() string { return "HTTP" }

// do makes a request; headers are pairs.
func (f web) do(ctx context.Context, method, path string, body []byte, headers ...string) (string, answer) {
	req, err := http.NewRequestWithContext(ctx, method, f.url+path, bytes.NewReader(body))
	if err != nil {
		return "", answer{broken: err}
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := f.c.Do(req)
	if err != nil && ctx.Err() != nil {
		return "", failed(ctx.Err()) // who leaves hears no answer
	}
	if err != nil {
		return "", answer{broken: err}
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	a := answer{broken: err, run: res.Header.Get("Squall-Run")}
	if res.StatusCode < 300 {
		return string(b), a
	}
	var p struct {
		Type, Title, Detail string
		Code                fault.Code
		Status              int
	}
	a.broken = errors.Join(err, json.Unmarshal(b, &p))
	a.code, a.message = p.Code, p.Detail
	if res.StatusCode != p.Code.Status() || p.Status != res.StatusCode || p.Type != "urn:squall:fault:"+string(p.Code) || p.Title == "" ||
		res.Header.Get("Content-Type") != "application/problem+json" {
		a.broken = errors.Join(a.broken, fmt.Errorf("status %d, want %d: %s %s", res.StatusCode, p.Code.Status(), res.Header.Get("Content-Type"), b))
	}
	return "", a
}

func (q how) query() string {
	v := url.Values{}
	if q.timeout > 0 {
		v.Set("timeout", q.timeout.String())
	}
	if q.durable {
		v.Set("durable", "true")
	}
	if len(v) == 0 {
		return ""
	}
	return "?" + v.Encode()
}

func (q how) headers(also ...string) []string {
	if q.async {
		also = append(also, "Prefer", "respond-async")
	}
	if q.key != "" {
		also = append(also, "Idempotency-Key", q.key)
	}
	return also
}

func marshal(x any) []byte {
	b, err := json.Marshal(x)
	if err != nil {
		panic(err) // the row is wrong
	}
	return b
}

func (f web) call(ctx context.Context, function string, q how, args ...any) answer {
	kind, body := "application/json", []byte(nil)
	if len(args) == 1 {
		if b, ok := args[0].([]byte); ok {
			kind, body = "application/octet-stream", b
		}
	}
	if body == nil {
		body = marshal(append([]any{}, args...))
	}
	out, a := f.do(ctx, "POST", "/v1/functions/"+url.PathEscape(function)+"/calls"+q.query(), body, q.headers("Content-Type", kind)...)
	return a.read(out, q.async)
}

func (f web) run(ctx context.Context, dag string, q how, inputs map[string]any) answer {
	if inputs == nil {
		inputs = map[string]any{}
	}
	out, a := f.do(ctx, "POST", "/v1/dags/"+url.PathEscape(dag)+"/runs"+q.query(), marshal(map[string]any{"inputs": inputs}), q.headers()...)
	return a.read(out, true)
}

func (f web) putDAG(ctx context.Context, name, file string) answer {
	_, a := f.do(ctx, "PUT", "/v1/dags/"+url.PathEscape(name), []byte(file), "Content-Type", "application/yaml")
	return a
}

func (f web) putModule(ctx context.Context, name string, code []byte) answer {
	_, a := f.do(ctx, "PUT", "/v1/functions/"+url.PathEscape(name), code, "Content-Type", "application/wasm")
	return a
}

// path is a key's.
func (web) path(key string) string { return "/v1/kv/" + url.PathEscape(key) }

func (f web) put(ctx context.Context, key string, x any, revision uint64) answer {
	var headers []string
	if revision != 0 {
		headers = []string{"If-Match", fmt.Sprintf(`"%d"`, revision)}
	}
	if b, ok := x.([]byte); ok {
		_, a := f.do(ctx, "PUT", f.path(key), b, slices.Concat(headers, []string{"Content-Type", "application/octet-stream"})...)
		return a
	}
	_, a := f.do(ctx, "PUT", f.path(key), marshal(x), slices.Concat(headers, []string{"Content-Type", "application/json"})...)
	return a
}

func (f web) get(ctx context.Context, key string) answer {
	out, a := f.do(ctx, "GET", f.path(key), nil, "Accept", "application/json")
	return a.read(out, false)
}

func (f web) wait(ctx context.Context, run string) answer {
	out, a := f.do(ctx, "GET", "/v1/runs/"+url.PathEscape(run)+"?wait=30s", nil)
	return a.read(out, true)
}

func (f web) cancel(ctx context.Context, run string) answer {
	_, a := f.do(ctx, "DELETE", "/v1/runs/"+url.PathEscape(run), nil)
	return a
}
