package cluster_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/squall-faas/squall/client"
	"github.com/squall-faas/squall/coordinator"
	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/executor/runtime/native"
	"github.com/squall-faas/squall/fn"
	"github.com/squall-faas/squall/internal/backbone"
	"github.com/squall-faas/squall/internal/bus"
	"github.com/squall-faas/squall/internal/cluster"
	"github.com/squall-faas/squall/kvs"
)

// world is a cluster in memory whose executors each have native functions of their own, so that a test decides what
// runs where. It lives in a bubble of virtual time (testing/synctest): hours of silence take no time.
type world struct {
	t      *testing.T
	ctx    context.Context
	memory *backbone.Memory
	client *client.Client
	system kvs.Store // what the nodes take for the system space
	cfg    coordinator.Config
	slots  int
	// compiled adds the functions that an executor has from its start; nil for none.
	compiled func(executor string, to *native.Registry)
	// wrong is how far executors' wall clocks are off.
	wrong map[string]time.Duration
	// lend is what an executor lends; nil for the default. hold is how many bytes of values it holds; 0 is the default.
	lend func(executor string) cluster.Lend
	hold int64
	log  *slog.Logger

	nodes map[string]*executorNode
	co    *coordinator.Coordinator
	ends  []func() error
}

// executorNode is an executor with its functions, and a client that registers them.
type executorNode struct {
	*cluster.ExecutorNode
	client  *client.Client
	natives *native.Registry
}

// inWorld runs a test in a world with the executors named.
func inWorld(t *testing.T, names string, test func(t *testing.T, w *world)) {
	t.Helper()
	inSpecialWorld(t, names, nil, test)
}

// inSpecialWorld is inWorld with an edit of the world before anything starts.
func inSpecialWorld(t *testing.T, names string, edit func(w *world), test func(t *testing.T, w *world)) {
	t.Helper()
	inSeededWorld(t, bus.Options{}, names, edit, test)
}

func inSeededWorld(t *testing.T, network bus.Options, names string, edit func(w *world), test func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		memory, err := backbone.NewMemory("", network)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("network %v", memory.Network.Options())
		w := &world{
			t: t, memory: memory, nodes: map[string]*executorNode{}, slots: 2,
			log: slog.New(slog.NewTextHandler(t.Output(), nil)), // seen when the test fails
		}
		w.cfg = coordinator.Config{Name: "coordinator", Logger: w.log}
		w.ends = append(w.ends, memory.Close)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		w.ctx = ctx
		defer w.close()
		defer cancel()
		if edit != nil {
			edit(w)
		}
		w.startCoordinator()
		b := w.join("client")
		w.client, err = client.Over(b, native.New(), nil)
		if err != nil {
			t.Fatal(err)
		}
		w.ends = append(w.ends, w.client.Close)
		for _, name := range names {
			w.add(string(name))
		}
		test(t, w)
	})
}

func (w *world) close() {
	for i := len(w.ends) - 1; i >= 0; i-- {
		if err := w.ends[i](); err != nil && !errors.Is(err, bus.ErrClosed) {
			w.t.Errorf("close: %v", err)
		}
	}
}

// join gives the backbone of a node.
func (w *world) join(name string) *backbone.Backbone {
	b := w.memory.Join(name)
	w.ends = append(w.ends, b.Close)
	if w.system != nil {
		b.System = w.system
	}
	return b
}

func (w *world) startCoordinator() {
	w.t.Helper()
	co, err := cluster.StartCoordinator(w.ctx, w.join("coordinator"), w.cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	w.co = co
	w.ends = append(w.ends, co.Close)
}

// add starts an executor and waits until it takes work.
func (w *world) add(name string) *executorNode {
	w.t.Helper()
	b, natives := w.join(name), native.New()
	if w.compiled != nil {
		w.compiled(name, natives)
	}
	var lend cluster.Lend
	if w.lend != nil {
		lend = w.lend(name)
	}
	e, err := cluster.StartExecutor(b, cluster.ExecutorConfig{
		Lend: lend, HoldBytes: w.hold,
		Name: name, Slots: w.slots, Natives: natives, Logger: w.log,
		Wall: func() time.Time { return time.Now().Add(w.wrong[name]) },
	})
	if err != nil {
		w.t.Fatal(err)
	}
	natives.OnChange(e.Announce)
	c, err := client.Over(b, natives, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	w.ends = append(w.ends, c.Close, e.Close)
	n := &executorNode{e, c, natives}
	w.nodes[name] = n
	synctest.Wait()
	return n
}

// on registers a function on the executors named, and nowhere else.
func (w *world) on(names, function string, impl client.Impl) {
	w.t.Helper()
	for _, name := range names {
		if _, err := w.nodes[string(name)].client.Register(w.ctx, function, impl); err != nil {
			w.t.Fatalf("register %s on %c: %v", function, name, err)
		}
	}
	synctest.Wait() // all have announced it
}

func (w *world) dag(draw func(b *dag.Builder) dag.Ref) {
	w.t.Helper()
	b := dag.New("g")
	b.Output("y", draw(b))
	g, err := b.Build()
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.client.RegisterDAG(w.ctx, g); err != nil {
		w.t.Fatal(err)
	}
}

// future is a call under way.
type future[O any] struct {
	done chan struct{}
	y    O
	err  error
	took time.Duration
}

// call calls the world's DAG with the input x.
func call[O any](ctx context.Context, w *world, x any, opts ...client.CallOption) *future[O] {
	f := &future[O]{done: make(chan struct{})}
	go func() {
		defer close(f.done)
		began := time.Now()
		out, err := w.client.CallDAG(ctx, "g", client.Inputs{"x": x}, opts...)
		if f.took, f.err = time.Since(began), err; err == nil {
			f.y, f.err = client.Output[O](out, "y")
		}
	}()
	return f
}

func (f *future[O]) get() (O, error) {
	<-f.done
	return f.y, f.err
}

// gate is a function that waits until the test opens it, or its context ends.
type gate struct {
	began chan string // the run, when a call of the function has begun
	open  chan struct{}
	ended chan error // why a call ended that was not let through
}

func newGate() *gate {
	return &gate{began: make(chan string, 1000), open: make(chan struct{}), ended: make(chan error, 1000)}
}

func (g *gate) wait(c fn.Context) error {
	g.began <- c.RunID()
	select {
	case <-g.open:
		return nil
	case <-c.Done():
		g.ended <- c.Err()
		return c.Err()
	}
}
