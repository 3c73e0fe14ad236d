package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/http"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/squall-faas/squall/client"
	"github.com/squall-faas/squall/coordinator/gateway"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/fn"
	"github.com/squall-faas/squall/internal/backbone"
	"github.com/squall-faas/squall/internal/cluster"
	"github.com/squall-faas/squall/internal/gobuild"
	"github.com/squall-faas/squall/internal/natsconn"
)

// house is a cluster over NATS on the loopback, with its state on disk, and the three ways into it.
type house struct {
	t       *testing.T
	server  *natsconn.Server
	cluster *cluster.Cluster
	faces   []face
	guest   []byte // functions.Table as one module: the first argument names the function

	began   chan struct{} // a call of "hang", "stubborn" or "gated" has begun
	ended   chan error    // the context of a call of "hang" has ended
	open    chan struct{} // lets one call of "stubborn" or "gated" return
	left    chan struct{} // a call of "stubborn" returns
	counted *atomic.Int64 // calls of "count"
}

// in is the house in a test below the one that opened it.
func (h *house) in(t *testing.T) *house {
	inner := *h
	inner.t = t
	return &inner
}

const limit = time.Minute // for what ends by itself: a test that hangs fails instead

func (h *house) check(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

// wait waits for a signal of a function.
func wait[T any](h *house, c chan T) (x T) {
	h.t.Helper()
	select {
	case x = <-c:
	case <-time.After(limit):
		h.t.Fatal("a function did not do what it should")
	}
	return x
}

func openHouse(t *testing.T) *house {
	t.Helper()
	sh := isolate(t)
	ctx := t.Context()
	h := &house{
		t: t, began: make(chan struct{}, 16), ended: make(chan error, 16), open: make(chan struct{}, 16), left: make(chan struct{}, 16),
		counted: new(atomic.Int64),
	}
	var err error
	h.guest, _, err = gobuild.Build(ctx, filepath.FromSlash("../../executor/runtime/runtimetest/testdata/suite"), "", gobuild.Options{})
	h.check(err)
	h.server, err = natsconn.Embed(natsconn.ServerOptions{StoreDir: filepath.Join(sh.dir, "nats"), Listen: "127.0.0.1:0"})
	h.check(err)
	t.Cleanup(h.server.Shutdown)
	h.cluster, err = cluster.Start(ctx, cluster.Config{
		Server: h.server, Executors: 2, Executor: cluster.ExecutorConfig{Slots: 4}, WasmCache: filepath.Join(sh.dir, "wasm"),
	})
	h.check(err)
	t.Cleanup(func() { h.check(h.cluster.Close()) })
	h.register(ctx)
	out, err := client.Connect(ctx, h.server.URL())
	h.check(err)
	t.Cleanup(func() { h.check(out.Close()) })
	h.faces = []face{sdk{out}, cli{h.server.URL(), sh.dir}, h.gateway(h.server)}
	return h
}

// gateway serves the HTTP API of a cluster.
func (h *house) gateway(server *natsconn.Server) web {
	h.t.Helper()
	b, err := backbone.Dial(h.t.Context(), backbone.Options{Server: server, Conn: natsconn.Options{Name: "gateway"}})
	h.check(err)
	h.t.Cleanup(func() { h.check(b.Close()) })
	g, err := gateway.New(gateway.Config{Backbone: b})
	h.check(err)
	h.t.Cleanup(g.Close)
	ln, err := new(net.ListenConfig).Listen(h.t.Context(), "tcp", "127.0.0.1:0")
	h.check(err)
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- g.Serve(ctx, ln) }()
	c := &http.Client{Transport: &http.Transport{}} // no proxy: it is on this host
	h.t.Cleanup(func() {
		c.CloseIdleConnections()
		stop()
		h.check(<-served)
	})
	return web{"http://" + ln.Addr().String(), c}
}

func (h *house) register(ctx context.Context) {
	h.t.Helper()
	for name, impl := range map[string]client.Impl{
		"increment": client.Native(func(_ fn.Context, x int) (int, error) { return x + 1, nil }),
		"square":    client.Native(func(_ fn.Context, x int) (int, error) { return x * x, nil }),
		"size":      client.Native(func(_ fn.Context, b []byte) (int, error) { return len(b), nil }),
		"zeros":     client.Native(func(_ fn.Context, n int) ([]byte, error) { return make([]byte, n), nil }).WithOutput(1000),
		"fail":      client.Native0(func(fn.Context) (int, error) { return 0, errors.New("no more paper") }),
		"panic":     client.Native0(func(fn.Context) (int, error) { panic("at the disco") }),
		"goexit":    client.Native0(func(fn.Context) (int, error) { runtime.Goexit(); return 0, nil }),
		"nothing":   client.Effect(func(fn.Context, int) error { return nil }),
		"empty":     client.Native0(func(fn.Context) ([]int, error) { return []int{}, nil }),
		"count":     client.Native(func(_ fn.Context, x int) (int, error) { return x, h.count() }),
		"hang": client.Native0(func(c fn.Context) (int, error) {
			h.began <- struct{}{}
			<-c.Done()
			h.ended <- c.Err()
			return 0, c.Err()
		}),
		"stubborn": client.Native(func(_ fn.Context, x int) (int, error) {
			h.began <- struct{}{}
			<-h.open
			h.left <- struct{}{}
			return x, nil
		}),
		"double": client.Native(func(_ fn.Context, x int) (int, error) { // the guest calls it
			h.began <- struct{}{}
			<-h.open
			return 2 * x, nil
		}),
		"guest":   client.Wasm(h.guest).WithMemory(64 << 20),
		"briefly": client.Wasm(h.guest).WithTimeout(300 * time.Millisecond),
		"loops":   client.Wasm(module{invoke: []byte{0x03, 0x40, 0x0c, 0, 0x0b, 0x42, 0}}.bytes()).WithTimeout(300 * time.Millisecond),
	} {
		_, err := h.cluster.Client.Register(ctx, name, impl)
		h.check(err)
	}
	for _, file := range []string{
		composeFile,
		"name: counts\ninputs: [x]\nnodes:\n  a: {call: count, args: [$x]}\noutputs: {y: $a}\n",
	} {
		if a := (sdk{h.cluster.Client}).putDAG(ctx, "", file); a.code != "" {
			h.t.Fatal(a)
		}
	}
}

func (h *house) count() error {
	h.counted.Add(1)
	return nil
}

// empty ends every executor; staff starts one again.
func (h *house) empty() {
	h.t.Helper()
	for _, e := range h.cluster.Executors() {
		h.check(e.Close())
	}
	h.until(func(up int) bool { return up == 0 })
}

func (h *house) staff() {
	h.t.Helper()
	_, err := h.cluster.AddExecutor(h.t.Context())
	h.check(err)
	h.until(func(up int) bool { return up > 0 })
}

func (h *house) until(ok func(up int) bool) {
	h.t.Helper()
	for deadline := time.Now().Add(limit); ; runtime.Gosched() {
		if _, up := h.cluster.Coordinator().Executors(); ok(up) {
			return
		}
		if time.Now().After(deadline) {
			h.t.Fatal("the coordinator does not see it")
		}
	}
}

// module is a hand-made WebAssembly module that keeps to the ABI, of three functions, less the export omitted.
type module struct {
	omit    string
	foreign string // module of an import that Squall does not have
	invoke  []byte // body of squall_invoke: (i32) -> i64; gives null where it is empty
}

func (m module) bytes() []byte {
	section := func(id byte, body ...byte) []byte {
		return append(binary.AppendUvarint([]byte{id}, uint64(len(body))), body...)
	}
	text := func(s string) []byte { return append([]byte{byte(len(s))}, s...) }
	code := func(b []byte) []byte { return append([]byte{byte(len(b) + 2), 0}, append(slices.Clone(b), 0x0b)...) }
	if m.invoke == nil {
		m.invoke = []byte{0x42, 2} // i64.const 2: two zeros at address 0
	}
	first := byte(0)
	out := []byte("\x00asm\x01\x00\x00\x00")
	out = append(out, section(1, 3, 0x60, 0, 0, 0x60, 1, 0x7f, 1, 0x7f, 0x60, 1, 0x7f, 1, 0x7e)...)
	if m.foreign != "" {
		first = 1
		out = append(out, section(2, slices.Concat([]byte{1}, text(m.foreign), text("open"), []byte{0, 0})...)...)
	}
	exports := [][]byte{append(text("memory"), 2, 0)}
	for i, name := range []string{"squall_abi_1", "squall_alloc", "squall_invoke"} {
		if name != m.omit {
			exports = append(exports, append(text(name), 0, first+byte(i)))
		}
	}
	out = append(out, section(3, 3, 0, 1, 2)...)
	out = append(out, section(5, 1, 0, 1)...)
	out = append(out, section(7, slices.Concat([]byte{byte(len(exports))}, slices.Concat(exports...))...)...)
	return append(out, section(10, slices.Concat([]byte{3}, code(nil), code([]byte{0x41, 8}), code(m.invoke))...)...)
}

// sound fails unless an answer keeps to the rules of all answers, and is the one that was expected.
func (h *house) sound(a answer, code fault.Code, value, says string) {
	h.t.Helper()
	if a.broken != nil {
		h.t.Errorf("the signs do not agree: %v", a.broken)
	}
	if a.code != code || a.value != value && code == "" {
		h.t.Fatalf("got %q %s (%s), want %q %s", a.code, a.value, a.message, code, value)
	}
	if code == "" {
		return
	}
	if !strings.Contains(a.message, says) || a.message == "" {
		h.t.Errorf("the message %q does not say %q", a.message, says)
	}
	if a.code == fault.FunctionError {
		return // the function's own words
	}
	if strings.Contains(a.message, "failed to") || strings.Contains(a.message, " ["+string(a.code)+"]") || strings.ContainsAny(a.message[:1], "ABCEFGHIJKLMNOPQRSTUVWXYZ") && !strings.HasPrefix(a.message, "If-Match") {
		h.t.Errorf("the message %q is not in the words of Squall", a.message)
	}
	if !bytes.ContainsAny([]byte(a.message), ":;,") {
		h.t.Errorf("the message %q does not say what to do", a.message)
	}
	h.t.Logf("%s: %.300s", a.code, a.message)
}
