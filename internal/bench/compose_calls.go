package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/squall-faas/squall/client"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/bench/guest"
)

// floors are the baselines: over NATS, in two forms, and over TCP.
func (c *compose) floors(ctx context.Context) ([]*load, error) {
	var loads []*load
	if c.wanted(caseFloor, caseFloorRequest) {
		procs := map[string]*node{"nats": c.nats}
		for _, role := range []string{roleBareFirst, roleBareSecond} {
			n, _, err := c.fleet.start(nodeConfig{Role: role, URL: c.url})
			if err != nil {
				return nil, err
			}
			procs[role] = n
		}
		nc, err := nats.Connect(c.url, nats.Name("floor"))
		if err != nil {
			return nil, fault.New(fault.Unreachable, "floor: %w", err)
		}
		c.ends = append(c.ends, nc.Close)
		call, err := c.bareNATS(nc)
		if err != nil {
			return nil, err
		}
		loads = append(loads, c.loops(caseFloor, procs, call)...)
		loads = append(loads, c.loops(caseFloorRequest, procs, c.bareRequest(nc))...)
	}
	if c.wanted(caseTCP) {
		procs, call, err := c.bareTCP(ctx)
		if err != nil {
			return nil, err
		}
		loads = append(loads, c.loops(caseTCP, procs, call)...)
	}
	return loads, nil
}

func maxOutstanding() int { return outstanding[len(outstanding)-1] }

// bareNATS is the floor's client: nothing but nats.go, with a standing inbox for each worker, which travels in the
// payload.
func (c *compose) bareNATS(nc *nats.Conn) (func(context.Context, int) error, error) {
	inboxes := make([]string, maxOutstanding())
	answers := make([]chan *nats.Msg, len(inboxes))
	for i := range inboxes {
		inboxes[i] = nats.NewInbox()
		answers[i] = make(chan *nats.Msg, 1)
		if _, err := nc.ChanSubscribe(inboxes[i], answers[i]); err != nil {
			return nil, fault.New(fault.Unreachable, "floor: %w", err)
		}
	}
	if err := nc.Flush(); err != nil {
		return nil, fault.New(fault.Unreachable, "floor: %w", err)
	}
	return func(ctx context.Context, worker int) error {
		x := c.argument()
		if err := nc.Publish(bareFirst, appendArg(appendInbox(make([]byte, 0, 64), inboxes[worker]), x)); err != nil {
			return err
		}
		m, err := await(ctx, answers[worker])
		if err != nil {
			return err
		}
		got, err := readResult(m.Data)
		return check(got, squared(x), err)
	}, nil
}

// bareRequest is the same with nats.go's own requests: the inbox travels as the reply subject.
func (c *compose) bareRequest(nc *nats.Conn) func(context.Context, int) error {
	return func(ctx context.Context, _ int) error {
		x := c.argument()
		ctx, cancel := context.WithTimeout(ctx, bareCallWait)
		defer cancel()
		m, err := nc.RequestWithContext(ctx, bareRequestFirst, appendArg(nil, x))
		if err != nil {
			return err
		}
		got, err := readResult(m.Data)
		return check(got, squared(x), err)
	}
}

// squared is what square(increment(x)) must be.
func squared(x uint32) uint64 { return (uint64(x) + 1) * (uint64(x) + 1) }

// await takes one answer; a floor that loses a message has failed.
func await[T any](ctx context.Context, answers <-chan T) (T, error) {
	late := time.NewTimer(bareCallWait)
	defer late.Stop()
	select {
	case a := <-answers:
		return a, nil
	case <-ctx.Done():
		var zero T
		return zero, fault.From(context.Cause(ctx))
	case <-late.C:
		var zero T
		return zero, fault.New(fault.DeadlineExceeded, "no answer in %v", bareCallWait)
	}
}

// bareTCP is the same over bare connections: client to A, A to B, B to client.
func (c *compose) bareTCP(ctx context.Context) (map[string]*node, func(context.Context, int) error, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, fault.New(fault.Unavailable, "tcp: %w", err)
	}
	defer func() { _ = l.Close() }() // one connection is all that comes
	procs := map[string]*node{}
	address := l.Addr().String()
	for _, role := range []string{roleTCPSecond, roleTCPFirst} {
		n, at, err := c.fleet.start(nodeConfig{Role: role, URL: address})
		if err != nil {
			return nil, nil, err
		}
		procs[role], address = n, at
	}
	in, err := l.Accept() // B has connected before it was ready
	if err != nil {
		return nil, nil, fault.New(fault.Unavailable, "tcp: %w", err)
	}
	out, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, nil, fault.New(fault.Unreachable, "tcp: %w", err)
	}
	answers := make([]chan uint64, maxOutstanding())
	for i := range answers {
		answers[i] = make(chan uint64, 1)
	}
	received := make(chan struct{})
	go func() {
		defer close(received)
		receiveFrames(in, answers)
	}()
	c.ends = append(c.ends, func() { _, _ = in.Close(), out.Close(); <-received })
	var mu sync.Mutex // guards out
	return procs, func(ctx context.Context, worker int) error {
		x := c.argument()
		frame := appendArg(binary.BigEndian.AppendUint16(make([]byte, 0, workerBytes+argBytes), uint16(worker)), x)
		mu.Lock()
		_, err := out.Write(frame)
		mu.Unlock()
		if err != nil {
			return err
		}
		got, err := await(ctx, answers[worker])
		return check(got, squared(x), err)
	}, nil
}

// receiveFrames hands answers to their workers until the connection ends; a call without one fails by itself.
func receiveFrames(in io.Reader, answers []chan uint64) {
	r := bufio.NewReader(in)
	frame := make([]byte, workerBytes+resultBytes)
	for {
		if _, err := io.ReadFull(r, frame); err != nil {
			return
		}
		y, err := readResult(frame[workerBytes:])
		if w := int(binary.BigEndian.Uint16(frame)); err == nil && w < len(answers) {
			answers[w] <- y
		}
	}
}

// compositions are square(increment(x)) on one executor, and across two.
func (c *compose) compositions(ctx context.Context) ([]*load, error) {
	var loads []*load
	for _, s := range []struct {
		name      string
		functions []string
		executors []*node
	}{
		{caseSame, []string{fnIncrement, fnSquare}, []*node{c.first}},
		{caseCross, []string{fnCrossIncrement, fnCrossSquare}, []*node{c.first, c.second}},
	} {
		if !c.wanted(s.name) {
			continue
		}
		if err := c.register(ctx, s.name, s.functions...); err != nil {
			return nil, err
		}
		loads = append(loads, c.loops(s.name, c.nodes(s.executors...), func(ctx context.Context, _ int) error { return c.compose(ctx, s.name) })...)
	}
	return loads, nil
}

// compose makes one call of square(increment(x)).
func (c *compose) compose(ctx context.Context, name string, opts ...client.CallOption) error {
	x := c.argument()
	got, err := callDAG[int](ctx, c, name, int(x), opts...)
	return check(uint64(got), squared(x), err)
}

// nodes are the processes of a call to Squall.
func (c *compose) nodes(executors ...*node) map[string]*node {
	procs := map[string]*node{"nats": c.nats, "coordinator": c.owner}
	for _, e := range executors {
		procs[e.name] = e
	}
	return procs
}

// chainOf is a family of chains of one function.
type chainOf struct {
	name     string
	function string
	wasm     string // symbol of the guest's func; native where empty
	ratio    string
	call     func(ctx context.Context, c *compose, dag string, hops int) error
}

var chainFamilies = []chainOf{
	{caseNative, fnIncrement, "", "native_hop_us", callScalars},
	{caseWasm, "wasm-hop", "Hop", "wasm_hop_us", callScalars},
	{caseWasmBytes, "wasm-hop-bytes", "HopBytes", "wasm_bytes_hop_us", callBytes},
	{caseWasmStruct, "wasm-hop-order", "HopOrder", "wasm_struct_hop_us", callOrders},
}

// chains are chains of 1, 2, 4, 8 and 16 functions on one executor: by how much a call grows with each is what a hop
// costs.
func (c *compose) chains(ctx context.Context) ([]*load, error) {
	var loads []*load
	for _, f := range chainFamilies {
		if !c.wanted(f.name) {
			continue
		}
		if f.wasm != "" {
			dir, err := c.guest()
			if err != nil {
				return nil, err
			}
			c.progress.Begin("build "+f.wasm+" to WebAssembly", -1)
			if _, err := c.client.Register(ctx, f.function, client.GoPackage(dir, f.wasm)); err != nil {
				return nil, err
			}
		}
		for _, n := range chainLengths {
			name := numbered(f.name, n)
			if !c.wants(name) {
				continue
			}
			functions := make([]string, n)
			for i := range functions {
				functions[i] = f.function
			}
			dag := f.name + "-" + name[len(f.name)+1:]
			if err := c.register(ctx, dag, functions...); err != nil {
				return nil, err
			}
			loads = append(loads, &load{
				name: name, outstanding: 1, calls: c.Calls, procs: c.nodes(c.first),
				call: func(ctx context.Context, _ int) error { return f.call(ctx, c, dag, n) },
			})
		}
	}
	return loads, nil
}

// guest is where the source of the functions is that are built to WebAssembly.
func (c *compose) guest() (string, error) {
	if c.Guest != "" {
		return c.Guest, nil
	}
	if _, file, _, ok := runtime.Caller(0); ok {
		dir := filepath.Join(filepath.Dir(file), "guest")
		if _, err := os.Stat(dir); err == nil {
			return dir, nil
		}
	}
	dir := filepath.Join("internal", "bench", "guest")
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	return "", fault.New(fault.InvalidArgument, "the benchmark's functions for WebAssembly are built from source: run it in a checkout of Squall, or leave those cases out with --only")
}

func callScalars(ctx context.Context, c *compose, dag string, hops int) error {
	x := int(c.argument())
	got, err := callDAG[int](ctx, c, dag, x)
	return check(got, x+hops, err)
}

// chainBytes is the length of a chain's byte slices.
const chainBytes = 64

func callBytes(ctx context.Context, c *compose, dag string, hops int) error {
	in := bytes.Repeat([]byte{0x5a}, chainBytes)
	binary.BigEndian.PutUint32(in[1:], c.argument())
	want := bytes.Clone(in)
	want[0] += byte(hops)
	got, err := callDAG[[]byte](ctx, c, dag, in)
	return check(string(got), string(want), err)
}

func callOrders(ctx context.Context, c *compose, dag string, hops int) error {
	x := int64(c.argument())
	got, err := callDAG[guest.Order](ctx, c, dag, guest.Order{
		ID: x, Customer: "Ada Lovelace", Express: true,
		Items: []guest.Item{{SKU: "A-100", Count: 2, Cents: 1999}, {SKU: "B-200", Count: 1, Cents: x}},
	})
	if err == nil && (len(got.Items) != 2 || got.Items[1].Cents != x) {
		return check(len(got.Items), -1, nil)
	}
	return check([2]int64{got.ID, int64(got.Hops)}, [2]int64{x, int64(hops)}, err)
}

// slopes draws the cost of a hop from each family whose chains were measured in several lengths.
func (c *compose) slopes(loads []*load) {
	for _, f := range chainFamilies {
		var lengths []int
		var chain []*load
		for _, n := range chainLengths {
			for _, l := range loads {
				if l.name == numbered(f.name, n) {
					lengths, chain = append(lengths, n), append(chain, l)
				}
			}
		}
		if len(chain) > 1 {
			c.report.Ratios[f.ratio] = slope(lengths, chain)
		}
	}
}
