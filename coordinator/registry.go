package coordinator

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/executor/runtime"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/wire"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

// registry knows the functions and DAGs, and pins a DAG to the current versions of its functions. What is registered
// is in the store; the maps are a copy, kept current by a watch, so that coordinators agree. Safe for concurrent use.
type registry struct {
	store kvs.Store

	mu        sync.RWMutex // guards what follows
	functions map[string]runtime.Spec
	graphs    map[string]*graph
	taken     map[kvs.Key]kvs.Revision // what is known of each record: changes may be heard of twice and late
	pins      map[pinKey]*pin          // pins whose spec is stored, for the current generation
	stored    map[string]bool          // hashes of specs in the store
}

type graph struct {
	graph   *dag.Graph
	encoded []byte
	version string
}

// pin is a graph with its functions' versions: what a run is of.
type pin struct {
	hash      string
	name      string
	graph     *dag.Graph
	functions []runtime.Spec
	encoded   []byte
}

type pinKey struct {
	target wire.Target
	name   string
	arity  int
}

func newRegistry(store kvs.Store) *registry {
	return &registry{
		store: store, functions: map[string]runtime.Spec{}, graphs: map[string]*graph{},
		taken: map[kvs.Key]kvs.Revision{}, pins: map[pinKey]*pin{}, stored: map[string]bool{},
	}
}

// load reads what is registered, and follows it until ctx ends, on goroutines that start runs.
func (r *registry) load(ctx context.Context, start func(func())) error {
	for _, prefix := range []kvs.Key{wire.FunctionPrefix, wire.GraphPrefix} {
		changes, err := r.read(ctx, prefix)
		if err != nil {
			return err
		}
		start(func() { r.follow(ctx, prefix, changes) })
	}
	return nil
}

// follow takes in changes. A watch that is lost, with the store or because too much has changed at once, is begun anew.
func (r *registry) follow(ctx context.Context, prefix kvs.Key, changes <-chan kvs.Entry) {
	for {
		for e := range changes {
			_ = r.take(e) // a record that does not decode was written by a later release; the one known stays
		}
		for changes = nil; changes == nil; {
			select {
			case <-ctx.Done():
				return
			case <-time.After(rewatch):
				changes, _ = r.read(ctx, prefix) // tried again until the store is back
			}
		}
	}
}

// rewatch is the pause before a lost watch is begun anew.
const rewatch = 500 * time.Millisecond

// read takes in what is registered under a prefix, and gives the changes from then on.
func (r *registry) read(ctx context.Context, prefix kvs.Key) (<-chan kvs.Entry, error) {
	ctx, cancel := context.WithCancel(ctx)
	changes, err := r.store.Watch(ctx, prefix)
	if err == nil {
		err = r.list(ctx, prefix)
	}
	if err != nil {
		cancel()
		return nil, err
	}
	context.AfterFunc(ctx, cancel)
	return changes, nil
}

func (r *registry) list(ctx context.Context, prefix kvs.Key) error {
	gone := r.known(prefix)
	for cursor := ""; ; {
		page, err := r.store.List(ctx, prefix, cursor, 1000)
		if err != nil {
			return err
		}
		for _, k := range page.Keys {
			delete(gone, k)
			if err := r.refresh(ctx, k); err != nil {
				return err
			}
		}
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	for k := range gone { // deleted while nobody watched, or put while the listing was made
		if err := r.refresh(ctx, k); err != nil {
			return err
		}
	}
	return nil
}

// refresh takes in one record as it is now.
func (r *registry) refresh(ctx context.Context, k kvs.Key) error {
	e, err := r.store.Get(ctx, k)
	if fault.Is(err, fault.NotFound) {
		r.mu.RLock()
		e = kvs.Entry{Key: k, Revision: r.taken[k], Deleted: true}
		r.mu.RUnlock()
		err = nil
	}
	if err != nil {
		return err
	}
	if err := r.take(e); err != nil {
		return fault.New(fault.Unsupported, "registered record %s: %w", k, err)
	}
	return nil
}

// known gives the records under a prefix that are in the maps.
func (r *registry) known(prefix kvs.Key) map[kvs.Key]bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	out := map[kvs.Key]bool{}
	if prefix == wire.FunctionPrefix {
		for name := range r.functions {
			out[kvs.Key(wire.FunctionKey(name))] = true
		}
		return out
	}
	for name := range r.graphs {
		out[kvs.Key(wire.GraphKey(name))] = true
	}
	return out
}

// take applies one stored record.
func (r *registry) take(e kvs.Entry) error {
	name, isFunction := strings.CutPrefix(string(e.Key), wire.FunctionPrefix)
	if !isFunction {
		name = strings.TrimPrefix(string(e.Key), wire.GraphPrefix)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if known := r.taken[e.Key]; e.Revision < known || e.Revision == known && !e.Deleted {
		return nil
	}
	r.taken[e.Key] = e.Revision
	if e.Deleted {
		if isFunction {
			delete(r.functions, name)
		} else {
			delete(r.graphs, name)
		}
		clear(r.pins)
		return nil
	}
	b, err := value.As[[]byte](e.Value)
	if err != nil {
		return err
	}
	if isFunction {
		var f wire.Function
		if err := wire.Decode(b, &f); err != nil {
			return err
		}
		if old, ok := r.functions[name]; !ok || old.Version != f.Spec.Version || old.Limits != f.Spec.Limits {
			r.functions[name] = f.Spec
			clear(r.pins)
		}
		return nil
	}
	var g wire.Graph
	if err := wire.Decode(b, &g); err != nil {
		return err
	}
	if old := r.graphs[name]; old != nil && old.version == g.Version {
		return nil
	}
	decoded, err := dag.Decode(g.Graph)
	if err != nil {
		return err
	}
	r.graphs[name] = &graph{decoded, g.Graph, g.Version}
	clear(r.pins)
	return nil
}

// put stores a record and applies it.
func (r *registry) put(ctx context.Context, key string, m wire.Message) error {
	b, err := wire.Encode(m)
	if err != nil {
		return err
	}
	v, _ := value.Of(b) // bytes always are a value
	rev, err := r.store.Put(ctx, kvs.Key(key), v, kvs.PutOptions{})
	if err != nil {
		return err
	}
	return r.take(kvs.Entry{Key: kvs.Key(key), Value: v, Revision: rev})
}

// remove deletes a record; missing is what to say where there is none.
func (r *registry) remove(ctx context.Context, key string, missing error) error {
	e, err := r.store.Get(ctx, kvs.Key(key))
	if fault.Is(err, fault.NotFound) {
		return missing
	}
	if err != nil {
		return err
	}
	if err := r.store.Delete(ctx, e.Key, 0); err != nil {
		return err
	}
	return r.take(kvs.Entry{Key: e.Key, Revision: e.Revision, Deleted: true})
}

// pinned gives a call's pin if its spec is stored already; nil says that pin has to do work.
func (r *registry) pinned(k pinKey) *pin {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.pins[k]
}

// pin resolves a call to a stored spec: unknown_dag, unknown_function, wrong_arity.
func (r *registry) pin(ctx context.Context, k pinKey) (*pin, error) {
	r.mu.RLock()
	p, err := r.resolveLocked(k)
	known := err == nil && r.stored[p.hash]
	r.mu.RUnlock()
	if err != nil {
		return nil, err
	}
	if !known {
		v, _ := value.Of(p.encoded) // bytes always are a value
		if _, err := r.store.Put(ctx, kvs.Key(wire.SpecKey(p.hash)), v, kvs.PutOptions{}); err != nil {
			return nil, err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stored[p.hash] = true
	if again, err := r.resolveLocked(k); err == nil && again.hash == p.hash {
		r.pins[k] = p // nothing was registered meanwhile
	}
	return p, nil
}

func (r *registry) resolveLocked(k pinKey) (*pin, error) {
	var g *dag.Graph
	var encoded []byte
	if k.target == wire.TargetDAG {
		known := r.graphs[k.name]
		if known == nil {
			return nil, fault.New(fault.UnknownDAG, "no DAG %q is registered: register it with RegisterDAG or `squall dag put`", k.name)
		}
		g, encoded = known.graph, known.encoded
	} else {
		f, ok := r.functions[k.name]
		if !ok {
			return nil, unknownFunction("", k.name)
		}
		if f.In != nil && len(f.In) != k.arity {
			return nil, fault.New(fault.WrongArity, "function %s takes %d arguments, got %d", k.name, len(f.In), k.arity)
		}
		g = dag.Single(k.name, k.arity)
		encoded = dag.Encode(g)
	}
	fs := make([]runtime.Spec, len(g.Nodes))
	for i, n := range g.Nodes {
		f, ok := r.functions[n.Function]
		if !ok {
			return nil, unknownFunction(n.Name, n.Function)
		}
		fs[i] = f
	}
	spec, err := wire.Encode(&wire.Spec{Graph: encoded, Functions: fs})
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(spec)
	return &pin{hash: hex.EncodeToString(sum[:16]), name: k.name, graph: g, functions: fs, encoded: spec}, nil
}

func unknownFunction(node, name string) error {
	e := fault.New(fault.UnknownFunction, "no function %q is registered: register it first", name)
	e.Node = node
	return e
}

// signature is what is known of a function's parameters.
func (r *registry) signature(name string) (dag.Signature, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	f, ok := r.functions[name]
	return dag.Signature{In: f.In, Out: f.Out}, ok
}

func (r *registry) listFunctions() []runtime.Spec {
	r.mu.RLock()
	defer r.mu.RUnlock()
	out := make([]runtime.Spec, 0, len(r.functions))
	for _, f := range r.functions {
		out = append(out, f)
	}
	slices.SortFunc(out, func(a, b runtime.Spec) int { return strings.Compare(a.Name, b.Name) })
	return out
}

func (r *registry) listGraphs() []wire.GraphInfo {
	r.mu.RLock()
	defer r.mu.RUnlock()
	out := make([]wire.GraphInfo, 0, len(r.graphs))
	for name, g := range r.graphs {
		info := wire.GraphInfo{Name: name, Version: g.version, Inputs: g.graph.Inputs, Nodes: len(g.graph.Nodes)}
		for _, o := range g.graph.Outputs {
			info.Outputs = append(info.Outputs, o.Name)
		}
		out = append(out, info)
	}
	slices.SortFunc(out, func(a, b wire.GraphInfo) int { return strings.Compare(a.Name, b.Name) })
	return out
}

func (r *registry) graph(name string) (*graph, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if g := r.graphs[name]; g != nil {
		return g, nil
	}
	return nil, fault.New(fault.UnknownDAG, "no DAG %q is registered", name)
}

// decodePin reads a stored spec.
func decodePin(hash, name string, v value.Value) (*pin, error) {
	b, err := value.As[[]byte](v)
	if err != nil {
		return nil, err
	}
	var s wire.Spec
	if err := wire.Decode(b, &s); err != nil {
		return nil, err
	}
	g, err := dag.Decode(s.Graph)
	if err != nil {
		return nil, err
	}
	return &pin{hash: hash, name: name, graph: g, functions: s.Functions, encoded: b}, nil
}

// specHash is the spec's hash, also for a run whose spec could not be read.
func (p *pin) specHash() string {
	if p == nil {
		return ""
	}
	return p.hash
}
