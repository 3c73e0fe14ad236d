package cluster_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/squall-faas/squall/client"
	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/executor/runtime/native"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/fn"
	"github.com/squall-faas/squall/internal/bus"
	"github.com/squall-faas/squall/internal/wire"
)

// TestSoak makes random calls while messages are lost, repeated and reordered and nodes crash, are cut off, leave, join
// and restart. Every call ends by its deadline, with the right answer or with one error that says "try again"; every
// run that was acknowledged as durable ends with one right outcome; in the end nothing is left open anywhere.
//
// SQUALL_SOAK=10m goes on with new seeds for so long; SQUALL_SEED=n repeats one round.
func TestSoak(t *testing.T) {
	var until time.Time
	if s := os.Getenv("SQUALL_SOAK"); s != "" {
		d, err := time.ParseDuration(s)
		if err != nil {
			t.Fatal(err)
		}
		until = time.Now().Add(d)
	}
	seed := rand.Uint64() >> 1
	if s := os.Getenv("SQUALL_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	for {
		if !t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) { soak(t, seed) }) || !time.Now().Before(until) {
			return
		}
		seed++
	}
}

const (
	soakCalls    = 200
	soakCallers  = 8
	soakDeadline = 30 * time.Second
)

// soaking is one round.
type soaking struct {
	*testing.T
	w    *world
	rng  *rand.Rand // of the faults
	next int        // numbers executors

	crashes, cuts, leaves, restarts int

	right, wrong atomic.Int64

	mu      sync.Mutex // guards what follows
	codes   map[fault.Code]int
	durable map[string]int // acknowledged runs and what comes out of them
}

// soakFunctions are what an executor has: even ones have no "odd", odd ones no "even", so that chains cross.
func soakFunctions(executor string, to *native.Registry) {
	pause := func(c fn.Context, x int) error {
		select {
		case <-time.After(time.Duration(x*7919%400) * time.Millisecond):
			return nil
		case <-c.Done():
			return c.Err()
		}
	}
	add := func(name string, impl fn.Impl) {
		if _, err := to.Add(name, impl); err != nil {
			panic(err)
		}
	}
	plus := func(n int) fn.Impl {
		return fn.Native(func(c fn.Context, x int) (int, error) { return x + n, pause(c, x) })
	}
	add("inc", plus(1))
	add("square", fn.Native(func(c fn.Context, x int) (int, error) { return x * x, pause(c, x) }))
	add("sum", fn.Native2(func(c fn.Context, x, y int) (int, error) { return x + y, pause(c, (x+y)%50) }))
	add("repeat", fn.Native(func(c fn.Context, n int) ([]byte, error) {
		return bytes.Repeat([]byte{byte(n)}, n), pause(c, n)
	}))
	add("length", fn.Native(func(c fn.Context, b []byte) (int, error) {
		if bytes.Count(b, b[:1]) != len(b) || int(b[0]) != len(b)%256 {
			return 0, errors.New("these are not the bytes that were sent")
		}
		return len(b), pause(c, len(b))
	}))
	if executor[len(executor)-1]%2 == 0 {
		add("even", plus(2))
	} else {
		add("odd", plus(3))
	}
}

func soakGraphs() []*dag.Builder {
	compose := dag.New("compose")
	compose.Output("y", compose.Call("sq", "square", compose.Call("inc", "inc", compose.Input("x"))))

	cross := dag.New("cross")
	last := cross.Input("x")
	for i, f := range []string{"even", "odd", "odd", "even", "inc", "even", "odd"} {
		last = cross.Call(fmt.Sprintf("n%d", i), f, last)
	}
	cross.Output("y", last)

	fan := dag.New("fan")
	x := fan.Input("x")
	fan.Output("y", fan.Call("sum", "sum", fan.Call("even", "even", x), fan.Call("odd", "odd", x)))

	mapped := dag.New("mapped")
	mapped.Output("y", mapped.Reduce("sum", "sum", mapped.Map("squares", "square", mapped.Input("x"))))

	big := dag.New("big")
	big.Output("y", big.Call("length", "length", big.Call("repeat", "repeat", big.Input("x"))))
	return []*dag.Builder{compose, cross, fan, mapped, big}
}

// soakCall draws a call: the DAG, its input, and what comes out.
func soakCall(rng *rand.Rand) (name string, x any, want int) {
	n := rng.IntN(1000)
	switch rng.IntN(5) {
	case 0:
		return "compose", n, (n + 1) * (n + 1)
	case 1:
		return "cross", n, n + 3*2 + 3*3 + 1
	case 2:
		return "fan", n, 2*n + 5
	case 3:
		xs := make([]int, 1+rng.IntN(40))
		for i := range xs {
			xs[i] = n + i
			want += xs[i] * xs[i]
		}
		return "mapped", xs, want
	}
	n = 1 + rng.IntN(600<<10)
	return "big", n, n
}

func soak(t *testing.T, seed uint64) {
	edit := func(w *world) {
		w.compiled = soakFunctions
		w.cfg.Crashes = 1 << 20 // whoever dies here dies of the faults
		w.slots = 4
	}
	inSeededWorld(t, bus.Options{Seed: seed | 1}, "", edit, func(t *testing.T, w *world) {
		s := &soaking{T: t, w: w, rng: rand.New(rand.NewPCG(seed, 1)), codes: map[fault.Code]int{}, durable: map[string]int{}}
		for range 4 {
			s.join()
		}
		for _, f := range []string{"inc", "square", "sum", "repeat", "length", "even", "odd"} {
			s.register(f)
		}
		for _, b := range soakGraphs() {
			g, err := b.Build()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.client.RegisterDAG(w.ctx, g); err != nil {
				t.Fatal(err)
			}
		}
		stopRules := s.unreliable()
		stop := make(chan struct{})
		var faults, calls sync.WaitGroup
		faults.Go(func() { s.faults(stop) })
		for k := range soakCallers {
			calls.Go(func() {
				rng := rand.New(rand.NewPCG(seed, uint64(100+k)))
				for range soakCalls / soakCallers {
					s.call(rng)
				}
			})
		}
		calls.Wait()
		close(stop)
		faults.Wait()
		stopRules()
		w.memory.Network.Heal()
		s.settle()
	})
}

// join starts an executor.
func (s *soaking) join() {
	s.next++
	s.w.add("e" + strconv.Itoa(s.next))
}

// register has a function registered by an executor that has it.
func (s *soaking) register(function string) {
	for _, n := range s.w.nodes {
		for _, f := range n.natives.Functions() {
			if f.Name != function {
				continue
			}
			if _, err := n.Caller.Admin(s.w.ctx, wire.OpPutFunction, &wire.Admin{Function: &f}); err != nil {
				s.Fatal(err)
			}
			return
		}
	}
	s.Fatalf("nobody has %s", function)
}

// unreliable makes the network lose, repeat and reorder messages until the returned function is called.
func (s *soaking) unreliable() func() {
	stop := s.w.memory.Network.Inject(bus.Rule{
		Drop: 0.005 + s.rng.Float64()*0.03, Duplicate: 0.01 + s.rng.Float64()*0.1, Reorder: 0.01 + s.rng.Float64()*0.1,
		MaxDelay: time.Duration(s.rng.IntN(5)) * time.Millisecond,
	})
	return stop
}

// faults befall nodes until stop: at most one executor at a time is cut off, and at least three are there.
func (s *soaking) faults(stop chan struct{}) {
	wait := func(least, most int) bool {
		select {
		case <-stop:
			return false
		case <-time.After(time.Duration(least+s.rng.IntN(most-least)) * time.Millisecond):
			return true
		}
	}
	net := s.w.memory.Network
	for wait(200, 2000) {
		var names []string
		for name := range s.w.nodes {
			names = append(names, name)
		}
		slices.Sort(names)
		victim := names[s.rng.IntN(len(names))]
		switch s.rng.IntN(8) {
		case 0, 1:
			s.crashes++
			net.Crash(victim)
			delete(s.w.nodes, victim)
		case 2, 3:
			s.cuts++
			net.Isolate(victim)
			if !wait(100, 6000) {
				return
			}
			net.Heal(victim)
		case 4:
			s.cuts++
			net.Disconnect(victim)
			if !wait(100, 1500) {
				return
			}
			net.Heal(victim)
		case 5:
			s.leaves++
			n := s.w.nodes[victim]
			delete(s.w.nodes, victim)
			if s.rng.IntN(2) == 0 {
				ctx, cancel := context.WithTimeout(s.w.ctx, 5*time.Second)
				_ = n.Drain(ctx) // as far as it comes
				cancel()
			}
			if err := n.Close(); err != nil {
				s.Errorf("close %s: %v", victim, err)
			}
		case 6:
			s.restarts++
			if err := s.w.co.Close(); err != nil {
				s.Errorf("close the coordinator: %v", err)
			}
			if !wait(1, 1500) {
				s.w.startCoordinator()
				return
			}
			s.w.startCoordinator()
		case 7:
			s.join()
		}
		for len(s.w.nodes) < 4 {
			s.join()
		}
	}
}

// call makes one random call and judges how it ends.
func (s *soaking) call(rng *rand.Rand) {
	name, x, want := soakCall(rng)
	ctx, cancel := context.WithTimeout(s.w.ctx, soakDeadline)
	defer cancel()
	began := time.Now()
	var out client.Outputs
	var err error
	var what string
	switch rng.IntN(4) {
	case 0:
		what = "durable"
		out, err = s.w.client.CallDAG(ctx, name, client.Inputs{"x": x}, client.Durable())
	case 1:
		what = "started"
		var run *client.Run
		if run, err = s.w.client.StartDAG(ctx, name, client.Inputs{"x": x}, client.Durable()); err == nil {
			s.mu.Lock()
			s.durable[run.ID()] = want
			s.mu.Unlock()
			out, err = run.Get(ctx)
		}
	default:
		what = "sync"
		out, err = s.w.client.CallDAG(ctx, name, client.Inputs{"x": x})
	}
	var y int
	if err == nil {
		y, err = client.Output[int](out, "y")
	}
	if took := time.Since(began); took > soakDeadline+time.Second {
		s.Errorf("%s call of %s took %v: %v", what, name, took, err)
	}
	switch f := fault.From(err); {
	case err == nil && y == want:
		s.right.Add(1)
	case err == nil:
		s.wrong.Add(1)
		s.Errorf("%s call of %s gave %d, want %d", what, name, y, want)
	case !f.Retryable():
		s.Errorf("%s call of %s: %v", what, name, err)
	default:
		s.mu.Lock()
		s.codes[f.Code]++
		s.mu.Unlock()
	}
}

// settle checks what is left when the faults are over.
func (s *soaking) settle() {
	ctx := s.w.ctx
	for id, want := range s.durable {
		run, err := s.w.client.Attach(ctx, id)
		if err != nil {
			s.Fatal(err)
		}
		get, cancel := context.WithTimeout(ctx, time.Minute)
		out, err := run.Get(get)
		cancel()
		if err != nil {
			s.Errorf("a durable run that was acknowledged, %s: %v", id, err)
			continue
		}
		if y, err := client.Output[int](out, "y"); err != nil || y != want {
			s.Errorf("a durable run that was acknowledged gave %d, want %d, %v", y, want, err)
		}
	}
	time.Sleep(soakDeadline + 35*time.Second) // the last that an executor keeps of a run that nobody released
	synctest.Wait()
	if open := s.w.co.Open(); open != 0 {
		s.Errorf("%d runs are still open", open)
	}
	for name, n := range s.w.nodes {
		if stuck := n.Stuck(); stuck != 0 {
			s.Errorf("%s: %d functions are stuck", name, stuck)
		}
	}
	members, err := s.w.client.Members(ctx)
	if err != nil {
		s.Fatal(err)
	}
	if len(members) != len(s.w.nodes) {
		s.Errorf("%d members of %d executors", len(members), len(s.w.nodes))
	}
	for _, m := range members {
		if hb := m.Heartbeat; hb.Busy != 0 || hb.Queued != 0 {
			s.Errorf("%s: %d busy, %d queued", hb.From.Name, hb.Busy, hb.Queued)
		}
	}
	var fired []string
	for _, k := range []bus.FaultKind{bus.Drop, bus.Duplicate, bus.Reorder, bus.Cut} {
		fired = append(fired, fmt.Sprintf("%v %d", k, s.w.memory.Network.Count(k)))
		if k != bus.Cut && s.w.memory.Network.Count(k) == 0 {
			s.Errorf("no message had the fault %v", k)
		}
	}
	if s.crashes+s.cuts+s.leaves+s.restarts == 0 {
		s.Error("nothing befell any node")
	}
	if s.right.Load() < soakCalls/2 {
		s.Errorf("only %d of %d calls went well", s.right.Load(), soakCalls)
	}
	s.Logf("%d right, %v; messages: %s; %d crashes, %d cuts, %d left, %d restarts; %d durable runs", s.right.Load(), s.codes,
		strings.Join(fired, ", "), s.crashes, s.cuts, s.leaves, s.restarts, len(s.durable))
}
