package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/squall-faas/squall/client"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/fn"
	"github.com/squall-faas/squall/internal/cluster"
	"github.com/squall-faas/squall/internal/natsconn"
)

// row is one kind of bad input, or of input that only looks bad. Every interface must make the same of it.
type row struct {
	name  string
	code  fault.Code // "" is success
	value string     // of a success, as JSON
	says  string     // in the message
	do    func(h *house, f face) answer
	not   map[string]string // interfaces that cannot express it, and why
}

const brief = 500 * time.Millisecond // enough for a command line to connect

// ctx ends a row that hangs.
func (h *house) ctx() context.Context {
	ctx, cancel := context.WithTimeout(h.t.Context(), limit)
	h.t.Cleanup(cancel)
	return ctx
}

func call(function string, q how, args ...any) func(*house, face) answer {
	return func(h *house, f face) answer { return f.call(h.ctx(), function, q, args...) }
}

func run(dag string, q how, inputs map[string]any) func(*house, face) answer {
	return func(h *house, f face) answer { return f.run(h.ctx(), dag, q, inputs) }
}

func putDAG(name, file string) func(*house, face) answer {
	return func(h *house, f face) answer { return f.putDAG(h.ctx(), name, file) }
}

func putModule(name string, code []byte) func(*house, face) answer {
	return func(h *house, f face) answer { return f.putModule(h.ctx(), name, code) }
}

// putGet writes under a key and reads it.
func putGet(key string, x any) func(*house, face) answer {
	return func(h *house, f face) answer {
		if a := f.put(h.ctx(), key, x, 0); a.code != "" || a.broken != nil {
			return a
		}
		return f.get(h.ctx(), key)
	}
}

func allBytes() string {
	b := make([]byte, 256)
	for i := range b {
		b[i] = byte(i)
	}
	return string(b)
}

const someRun = "0190a2c4-0000-7000-8000-000000000000"

var noSegment = map[string]string{"HTTP": "a path without the name is another path"}

// badNames are rows for each place where a name may stand.
func badNames() (rows []row) {
	for _, n := range []struct{ what, name string }{
		{"a dot", "a.b"}, {"*", "*"}, {">", ">"}, {"a wildcard inside", "a*b"}, {"a space", "a b"}, {"CR LF", "a\r\nb"}, {"NUL", "a\x00b"},
		{"a slash", "a/b"}, {"no UTF-8", "a\xffb"}, {"empty", ""}, {"300 characters", strings.Repeat("a", 300)},
	} {
		var not map[string]string
		if n.name == "" {
			not = noSegment
		}
		rows = append(rows,
			row{name: "function called: " + n.what, code: fault.InvalidName, do: call(n.name, how{}, 1), not: not},
			row{name: "DAG called: " + n.what, code: fault.InvalidName, do: run(n.name, how{}, map[string]any{"x": 1}), not: not},
			row{name: "DAG called, async: " + n.what, code: fault.InvalidName, do: run(n.name, how{async: true}, map[string]any{"x": 1}), not: not},
			row{name: "function registered: " + n.what, code: fault.InvalidName, do: putModule(n.name, module{}.bytes()), not: not},
		)
		if n.name != "a\xffb" { // not in a file of text
			rows = append(rows, row{name: "DAG registered: " + n.what, code: fault.InvalidName, not: not, do: putDAG(n.name,
				`{"name":`+string(marshal(n.name))+`,"inputs":["x"],"nodes":{"a":{"call":"increment","args":["$x"]}},"outputs":{"y":"$a"}}`)})
		}
	}
	return rows
}

// rows are those of a cluster that is up.
func rows(h *house) []row {
	big := make([]byte, 65<<20)
	noText := map[string]string{"SDK": "takes values, not text that might be none"}
	onlySDK := map[string]string{"CLI": "arguments are JSON or bytes", "HTTP": "arguments are JSON or bytes"}
	return slices.Concat(badNames(), []row{
		// Graphs.
		{name: "cyclic DAG", code: fault.InvalidDAG, says: "cycle",
			do: putDAG("c", "name: c\nnodes:\n  a: {call: increment, args: [$b]}\n  b: {call: increment, args: [$a]}\noutputs: {y: $a}\n")},
		{name: "node that needs itself", code: fault.InvalidDAG, says: "cycle",
			do: putDAG("c", "name: c\nnodes:\n  a: {call: increment, args: [$a]}\noutputs: {y: $a}\n")},
		{name: "edge to a missing node", code: fault.InvalidDAG, says: "nowhere",
			do: putDAG("c", "name: c\nnodes:\n  a: {call: increment, args: [$nowhere]}\noutputs: {y: $a}\n")},
		{name: "output of a missing node", code: fault.InvalidDAG, says: "nowhere",
			do: putDAG("c", "name: c\ninputs: [x]\nnodes:\n  a: {call: increment, args: [$x]}\noutputs: {y: $nowhere}\n")},
		{name: "DAG of a function that is not there", code: fault.UnknownFunction, says: "nope",
			do: putDAG("c", "name: c\ninputs: [x]\nnodes:\n  a: {call: nope, args: [$x]}\noutputs: {y: $a}\n")},
		{name: "DAG of too many arguments", code: fault.WrongArity, says: "1",
			do: putDAG("c", "name: c\ninputs: [x]\nnodes:\n  a: {call: increment, args: [$x, $x]}\noutputs: {y: $a}\n")},
		{name: "DAG of a constant of another type", code: fault.WrongType, says: "argument 1",
			do: putDAG("c", "name: c\nnodes:\n  a: {call: increment, args: [text]}\noutputs: {y: $a}\n")},

		// Calls that make no sense.
		{name: "unknown function", code: fault.UnknownFunction, says: "nope", do: call("nope", how{}, 1)},
		{name: "unknown function, async", code: fault.UnknownFunction, says: "nope", do: call("nope", how{async: true}, 1)},
		{name: "unknown DAG", code: fault.UnknownDAG, says: "nope", do: run("nope", how{}, nil)},
		{name: "unknown DAG, async", code: fault.UnknownDAG, says: "nope", do: run("nope", how{async: true}, nil)},
		{name: "unknown DAG, async and durable", code: fault.UnknownDAG, says: "nope", do: run("nope", how{async: true, durable: true}, nil)},
		{name: "too many arguments", code: fault.WrongArity, says: "1", do: call("increment", how{}, 1, 2)},
		{name: "too few arguments", code: fault.WrongArity, says: "1", do: call("increment", how{})},
		{name: "argument of another type", code: fault.WrongType, says: "argument 1", do: call("increment", how{}, "a")},
		{name: "missing input", code: fault.WrongArity, says: "x", do: run("compose", how{}, nil)},
		{name: "input that the DAG does not have", code: fault.WrongArity, says: "z", do: run("compose", how{}, map[string]any{"x": 1, "z": 2})},
		{name: "input of another type", code: fault.WrongType, do: run("compose", how{}, map[string]any{"x": "a"})},
		{name: "a Go channel", code: fault.WrongType, says: "chan", not: onlySDK, do: call("increment", how{}, make(chan int))},
		{name: "no JSON", code: fault.InvalidArgument, not: noText, do: func(h *house, f face) answer {
			if f, ok := f.(cli); ok {
				_, a := f.do(h.ctx(), "call", "increment", "{")
				return a
			}
			_, a := f.(web).do(h.ctx(), "POST", "/v1/functions/increment/calls", []byte("[{"))
			return a
		}},
		{name: "unknown run", code: fault.UnknownRun, says: someRun, do: func(h *house, f face) answer { return f.wait(h.ctx(), someRun) }},
		{name: "cancel an unknown run", code: fault.UnknownRun, says: someRun, do: func(h *house, f face) answer { return f.cancel(h.ctx(), someRun) }},
		{name: "no run id", code: fault.UnknownRun, says: "x", do: func(h *house, f face) answer { return f.wait(h.ctx(), "x") }},

		// Keys and values.
		{name: "empty key", code: fault.InvalidKey, says: "empty", do: func(h *house, f face) answer { return f.get(h.ctx(), "") }},
		{name: "empty key written", code: fault.InvalidKey, says: "empty", do: func(h *house, f face) answer { return f.put(h.ctx(), "", 1, 0) }},
		{name: "key over 1 KiB", code: fault.InvalidKey, says: "1024", do: putGet(strings.Repeat("k", 1025), 1)},
		{name: "key of 64 KiB", code: fault.InvalidKey, says: "1024", not: map[string]string{"HTTP": "the server's bound on a request's head, 32 KiB, comes first"},
			do: putGet(strings.Repeat("k", 64<<10), 1)},
		{name: "key of 1 KiB", value: "7", do: putGet(strings.Repeat("\xff", 1024), 7)},
		{name: "key of every byte", value: "7", do: putGet(allBytes(), 7)},
		{name: "key that looks like a path", value: "7", do: putGet("../../etc/../%2e%2e", 7)},
		{name: "key that looks like a subject", value: "7", do: putGet("a.*.>", 7)},
		{name: "no value under the key", code: fault.NotFound, do: func(h *house, f face) answer { return f.get(h.ctx(), "nothing") }},
		{name: "another revision", code: fault.Conflict, do: func(h *house, f face) answer {
			if a := f.put(h.ctx(), "cas", 1, 0); a.code != "" {
				return a
			}
			return f.put(h.ctx(), "cas", 2, 1<<40)
		}},
		{name: "a conflict changes nothing", value: "1", do: func(h *house, f face) answer { return f.get(h.ctx(), "cas") }},
		{name: "reference to nothing", code: fault.NotFound, says: "nothing", do: func(h *house, f face) answer {
			if _, ok := f.(sdk); ok {
				return f.call(h.ctx(), "increment", how{}, client.Ref("nothing"))
			}
			return f.call(h.ctx(), "increment", how{}, map[string]string{"$ref": "nothing"})
		}},
		{name: "value of 65 MiB", do: func(h *house, f face) answer { return f.put(h.ctx(), "big", big, 0) }},
		{name: "argument of 65 MiB", code: fault.TooLarge, says: "64 MiB", do: call("size", how{}, big)},
		{name: "argument of 8 MiB", value: "8388608", do: call("size", how{}, big[:8<<20])},
		{name: "result over its limit", code: fault.TooLarge, says: "1000", do: call("zeros", how{}, 1001)},

		// Functions.
		{name: "function fails", code: fault.FunctionError, says: "no more paper", do: call("fail", how{})},
		{name: "function panics", code: fault.FunctionPanic, says: "at the disco", do: call("panic", how{})},
		{name: "function ends its goroutine", code: fault.FunctionExited, says: "Goexit", do: call("goexit", how{})},
		{name: "function returns nothing", value: "null", do: call("nothing", how{}, 1)},
		{name: "function returns an empty list", value: "[]", do: call("empty", how{})},
		{name: "function waits for ever", code: fault.DeadlineExceeded, do: func(h *house, f face) answer {
			a := f.call(h.ctx(), "hang", how{timeout: brief})
			wait(h, h.began)
			wait(h, h.ended)
			return a
		}},
		{name: "function ignores its deadline", code: fault.DeadlineExceeded, do: func(h *house, f face) answer {
			a := f.call(h.ctx(), "stubborn", how{timeout: brief}, 1)
			wait(h, h.began)
			h.open <- struct{}{}
			wait(h, h.left)
			return a
		}},
		{name: "a late reply is nobody's", value: "2", do: func(h *house, f face) answer {
			for range 2 {
				if a := f.call(h.ctx(), "stubborn", how{timeout: brief}, 1000); a.code != fault.DeadlineExceeded {
					return a
				}
				wait(h, h.began)
			}
			h.open <- struct{}{}
			h.open <- struct{}{}
			wait(h, h.left)
			wait(h, h.left)
			for range 20 {
				if a := f.call(h.ctx(), "increment", how{}, 1); a.value != "2" {
					return a
				}
			}
			return f.call(h.ctx(), "increment", how{}, 1)
		}},
		{name: "run is cancelled", code: fault.Cancelled, do: func(h *house, f face) answer {
			a := f.call(h.ctx(), "hang", how{async: true})
			if a.code != "" {
				return a
			}
			wait(h, h.began)
			if c := f.cancel(h.ctx(), a.run); c.code != "" || c.broken != nil {
				return c
			}
			wait(h, h.ended)
			return f.wait(h.ctx(), a.run)
		}},
		{name: "client goes away", code: fault.Cancelled, do: func(h *house, f face) answer {
			ctx, leave := context.WithCancel(h.ctx())
			defer leave()
			gone := make(chan answer, 1)
			go func() { gone <- f.call(ctx, "hang", how{}) }()
			wait(h, h.began)
			leave()
			wait(h, h.ended) // long before its minute is over
			return <-gone
		}},
		{name: "one key is one run", value: `{"y":5}`, do: func(h *house, f face) answer {
			q := how{key: "key of " + f.name(), durable: true}
			before := h.counted.Load()
			a := f.run(h.ctx(), "counts", q, map[string]any{"x": 5})
			b := f.run(h.ctx(), "counts", q, map[string]any{"x": 5})
			if calls := h.counted.Load() - before; a.run == "" || a.run != b.run || a.value != b.value || calls != 1 {
				h.t.Errorf("%+v and %+v, %d calls", a, b, calls)
			}
			return b
		}},

		// WebAssembly.
		{name: "module: text", code: fault.InvalidModule, do: putModule("m", []byte("package main\n"))},
		{name: "module: nothing", code: fault.InvalidModule, do: putModule("m", nil)},
		{name: "module: only its head", code: fault.InvalidModule, do: putModule("m", h.guest[:8])},
		{name: "module: half of it", code: fault.InvalidModule, do: putModule("m", h.guest[:len(h.guest)/2])},
		{name: "module: without its last byte", code: fault.InvalidModule, do: putModule("m", h.guest[:len(h.guest)-1])},
		{name: "module: no squall_invoke", code: fault.InvalidModule, says: "squall_invoke", do: putModule("m", module{omit: "squall_invoke"}.bytes())},
		{name: "module: no marker of the ABI", code: fault.InvalidModule, says: "squall_abi_1", do: putModule("m", module{omit: "squall_abi_1"}.bytes())},
		{name: "module: an import it may not have", code: fault.InvalidModule, says: "env.open", do: putModule("m", module{foreign: "env"}.bytes())},
		{name: "module: a bad one is not registered", code: fault.UnknownFunction, do: call("m", how{})},
		{name: "guest loops for ever", code: fault.DeadlineExceeded, do: call("loops", how{})},
		{name: "Go guest loops for ever", code: fault.DeadlineExceeded, do: call("briefly", how{}, "spin")},
		{name: "guest calls without end", code: fault.DeadlineExceeded, do: call("briefly", how{}, "calltree", 60)},
		{name: "guest exits", code: fault.FunctionExited, says: "status 3", do: call("guest", how{}, "exit", 3)},
		{name: "guest panics", code: fault.FunctionPanic, says: "boom", do: call("guest", how{}, "panics", "boom")},
		{name: "guest allocates without end", code: fault.OutOfMemory, says: "64 MiB", do: call("guest", how{}, "hog")},
		{name: "guest returns nothing", value: "null", do: call("guest", how{}, "nothing", 1)},
		{name: "guest returns an empty list", value: "[]", do: call("guest", how{}, "rev", []int{})},
		{name: "a name registered again", value: "null", do: again},
	})
}

// again registers a module under a name that is taken while the one before runs: that call keeps its version, the next
// one gets the new.
func again(h *house, f face) answer {
	if a := f.putModule(h.ctx(), "again", h.guest); a.code != "" || a.broken != nil {
		return a
	}
	before := make(chan answer, 1)
	go func() { before <- f.call(h.ctx(), "again", how{}, "calls", 21) }()
	wait(h, h.began)
	if a := f.putModule(h.ctx(), "again", module{}.bytes()); a.code != "" || a.broken != nil {
		return a
	}
	after := f.call(h.ctx(), "again", how{}, "calls", 21)
	h.open <- struct{}{}
	if a := <-before; a.value != "42" || a.broken != nil {
		h.t.Errorf("the call that was running gave %+v, want 42", a)
	}
	return after
}

// try runs a row over every face, and a healthy call after each.
func (h *house) try(t *testing.T, r row) {
	t.Run(strings.ReplaceAll(r.name, "/", " or "), func(t *testing.T) {
		for _, f := range h.faces {
			t.Run(f.name(), func(t *testing.T) {
				h := h.in(t)
				if why := r.not[f.name()]; why != "" {
					t.Logf("cannot be expressed: %s", why)
					return
				}
				h.sound(r.do(h, f), r.code, r.value, r.says)
				h.sound(f.call(h.ctx(), "increment", how{}, 41), "", "42", "")
			})
		}
	})
}

// TestBadInput puts bad input to the SDK, the command line and the HTTP API. All must give the same code, with its HTTP
// status or exit code and a message that helps; and a healthy call must succeed afterwards.
func TestBadInput(t *testing.T) {
	h := openHouse(t)
	for _, r := range rows(h) {
		h.try(t, r)
	}

	// Nobody there who could run it.
	h.empty()
	t.Run("no executor", func(t *testing.T) {
		for _, f := range h.faces {
			t.Run(f.name(), func(t *testing.T) {
				h := h.in(t)
				h.sound(f.call(h.ctx(), "increment", how{}, 1), fault.NoExecutor, "", "")
			})
		}
	})
	h.staff()
	for _, f := range h.faces {
		h.sound(f.call(h.ctx(), "increment", how{}, 41), "", "42", "")
	}
}

// TestOnlySDK is what only Go programs can do wrong.
func TestOnlySDK(t *testing.T) {
	sh := open(t)
	c, err := client.Connect(t.Context(), sh.url)
	sh.check(err)
	defer func() { sh.check(c.Close()) }()
	_, err = c.Register(t.Context(), "f", client.Native(func(_ fn.Context, x int) (int, error) { return x, nil }))
	if !fault.Is(err, fault.NativeNeedsExecutor) {
		t.Errorf("a Go func where no executor is: %v", err)
	}
	if _, err = c.Register(t.Context(), "f", client.Impl{}); !fault.Is(err, fault.InvalidArgument) {
		t.Errorf("no implementation: %v", err)
	}
	if _, err = c.RegisterDAG(t.Context(), nil); !fault.Is(err, fault.InvalidDAG) {
		t.Errorf("no DAG: %v", err)
	}
	if n, err := client.Call[int](t.Context(), c, "increment", 41); err != nil || n != 42 {
		t.Errorf("afterwards: %d, %v", n, err)
	}
}

// TestUnreachable has no NATS to talk to: from the start, or since it went away.
func TestUnreachable(t *testing.T) {
	sh := isolate(t)
	h := &house{t: t}
	_, err := client.Connect(t.Context(), "nats://127.0.0.1:1")
	h.sound(failed(err), fault.Unreachable, "", "127.0.0.1:1")
	h.sound(cli{"nats://127.0.0.1:1", sh.dir}.call(t.Context(), "increment", how{}, 1), fault.Unreachable, "", "127.0.0.1:1")

	server, err := natsconn.Embed(natsconn.ServerOptions{Durability: natsconn.Memory, Listen: "127.0.0.1:0"})
	sh.check(err)
	t.Cleanup(server.Shutdown)
	c, err := cluster.Start(t.Context(), cluster.Config{Server: server, NoWasm: true})
	sh.check(err)
	t.Cleanup(func() { _ = c.Close() })
	_, err = c.Client.Register(t.Context(), "increment", client.Native(func(_ fn.Context, x int) (int, error) { return x + 1, nil }))
	sh.check(err)
	out, err := client.Connect(t.Context(), server.URL())
	sh.check(err)
	t.Cleanup(func() { _ = out.Close() })
	faces := []face{sdk{out}, h.gateway(server)}
	for _, f := range faces {
		h.sound(f.call(t.Context(), "increment", how{}, 41), "", "42", "")
	}
	server.Shutdown()
	// The connections wait for it to come back, and may deliver the call then: nobody can say what will come of it.
	answers := make([]chan answer, len(faces))
	for i, f := range faces {
		answers[i] = make(chan answer, 1)
		go func() { answers[i] <- f.call(t.Context(), "increment", how{timeout: limit}, 41) }()
	}
	for i := range faces {
		h.sound(<-answers[i], fault.OutcomeUnknown, "", "")
	}
	for _, f := range faces {
		h.sound(f.call(t.Context(), "increment", how{timeout: brief}, 41), fault.DeadlineExceeded, "", "")
	}
}

// TestStoreFull fills a store that has a bound: writes are refused in words, reads and calls go on.
func TestStoreFull(t *testing.T) {
	sh := isolate(t)
	h := &house{t: t}
	server, err := natsconn.Embed(natsconn.ServerOptions{StoreDir: filepath.Join(sh.dir, "nats"), Durability: natsconn.Interval, MaxStore: 16 << 20, Listen: "127.0.0.1:0"})
	sh.check(err)
	t.Cleanup(server.Shutdown)
	c, err := cluster.Start(t.Context(), cluster.Config{Server: server, NoWasm: true})
	sh.check(err)
	t.Cleanup(func() { sh.check(c.Close()) })
	_, err = c.Client.Register(t.Context(), "increment", client.Native(func(_ fn.Context, x int) (int, error) { return x + 1, nil }))
	sh.check(err)
	out, err := client.Connect(t.Context(), server.URL())
	sh.check(err)
	t.Cleanup(func() { sh.check(out.Close()) })
	faces := []face{sdk{out}, cli{server.URL(), sh.dir}, h.gateway(server)}
	h.sound(faces[0].put(h.ctx(), "small", 7, 0), "", "", "")
	h.sound(faces[0].call(h.ctx(), "increment", how{}, 41), "", "42", "") // the first call stores its plan
	part, n := make([]byte, 4<<20), 0
	for ; ; n++ {
		if err := out.Put(h.ctx(), fmt.Sprint(n), part); err != nil {
			h.sound(failed(err), fault.Unavailable, "", "full")
			break
		}
		if n > 8 {
			t.Fatalf("%d MiB are stored in 16", 4*n)
		}
	}
	for _, f := range faces {
		h.sound(f.put(h.ctx(), "one more", part, 0), fault.Unavailable, "", "full")
		h.sound(f.get(h.ctx(), "small"), "", "7", "")
		h.sound(f.call(h.ctx(), "increment", how{}, 41), "", "42", "")
	}
	if n == 0 {
		t.Error("nothing fitted")
	}
}
