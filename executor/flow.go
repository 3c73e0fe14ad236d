package executor

import (
	"context"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/executor/runtime"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/fn"
	"github.com/squall-faas/squall/value"
)

// flow is the stream of one try of a node, as far as it has come. It keeps its items: they become the node's value, and
// whoever consumes it may begin anew. So it holds nobody up, and is bounded as the value is.
type flow struct {
	try   int
	began time.Time
	in    int64 // bytes of the producer's arguments

	mu    sync.Mutex // guards what follows
	items []value.Value
	bytes int64
	ended bool
	err   error
	more  chan struct{} // closed when there is more to see
}

func newFlow(try int, in int64) *flow {
	return &flow{try: try, began: time.Now(), in: in, more: make(chan struct{})}
}

// put adds an item; it reports whether it is the first.
func (f *flow) put(v value.Value, most int64) (first bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.bytes += int64(v.Size()); f.bytes > most {
		return false, fault.New(fault.TooLarge, "the stream has more than %d bytes: yield references to what is stored, or less", most)
	}
	f.items = append(f.items, v)
	close(f.more)
	f.more = make(chan struct{})
	return len(f.items) == 1, nil
}

// end says that no item comes any more.
func (f *flow) end(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.ended {
		f.ended, f.err = true, err
		close(f.more)
	}
}

// at gives item i, or what to wait for, or that there is none.
func (f *flow) at(i int) (v value.Value, wait <-chan struct{}, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case i < len(f.items):
		return f.items[i], nil, nil
	case f.ended:
		return value.Value{}, nil, f.err
	}
	return value.Value{}, f.more, nil
}

// read gives the items to one consumer; it gives its slot back while it waits.
func (f *flow) read(i *invocation) iter.Seq2[value.Value, error] {
	return func(yield func(value.Value, error) bool) {
		for n := 0; ; {
			v, wait, err := f.at(n)
			switch {
			case err != nil:
				yield(value.Value{}, err)
				return
			case wait != nil:
				began := time.Now()
				i.leave()
				select {
				case <-wait:
				case <-i.Done():
				}
				i.comeBack()
				i.streamed(0, time.Since(began))
				if i.Err() != nil {
					yield(value.Value{}, ended(i.Context, context.Cause(i.Context)))
					return
				}
			case f.isOver(n):
				return
			default:
				i.streamed(int64(v.Size()), 0)
				if n++; !yield(v, nil) {
					return
				}
			}
		}
	}
}

// streamed notes that an item of a stream was read, or waited for: neither is seen from the arguments and the run time.
func (i *invocation) streamed(bytes int64, waited time.Duration) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.fed += bytes
	i.starved += waited
}

// consumed tells how much was read from streams, and for how long that was waited.
func (i *invocation) consumed() (bytes int64, waited time.Duration) {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.fed, i.starved
}

// isOver reports whether the stream has ended before item n.
func (f *flow) isOver(n int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ended && n >= len(f.items)
}

func yields(f runtime.Spec) bool  { return f.Out == fn.StreamType }
func streams(f runtime.Spec) bool { return slices.Contains(f.In, fn.StreamType) }

// openFlow begins the stream of an invocation, if others may begin with it. They may not where what they read depends on
// what the invocation has seen by its end.
func (a *activity) openFlow(c *call) {
	if !yields(c.function) || c.node.Kind != dag.Call || c.node.Hedge > 0 || c.terms.level.Session() {
		return
	}
	c.flow = newFlow(c.invocation.Try, int64(sizeOf(c.args)))
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.flows == nil {
		a.flows = map[dag.Source]*flow{}
	}
	a.flows[a.spec.graph.NodeSource(c.invocation.Node)] = c.flow
}

// closeFlow ends the stream of an invocation. The machine has heard of its end by now, and has taken back the consumers of
// one that failed.
func (a *activity) closeFlow(inv dag.Invocation, err error) {
	if !yields(a.spec.functions[inv.Node]) {
		return
	}
	a.mu.Lock()
	f := a.flows[a.spec.graph.NodeSource(inv.Node)]
	a.mu.Unlock()
	if f != nil && f.try == inv.Try {
		f.end(err)
	}
}

// Emit implements fn.Emitter: with the first item, the nodes that consume the stream may begin.
func (i *invocation) Emit(v value.Value) error {
	f, home := i.call.flow, i.call.home
	if f == nil {
		return nil
	}
	first, err := f.put(v, i.call.limit(i.e.cfg.MaxOutput))
	if !first || err != nil {
		return err
	}
	source := home.spec.graph.NodeSource(i.call.invocation.Node)
	for _, c := range home.spec.graph.Consumers(source) {
		if streams(home.spec.functions[c.Node]) {
			home.launch(source, c.Node, f)
		}
	}
	return nil
}

// launch begins a consumer of a stream, now or when its start-up would begin to show.
func (a *activity) launch(source dag.Source, node int, f *flow) {
	ev := dag.Event{Kind: dag.Flowing, Source: source, Nodes: []int{node}}
	producer, _ := a.spec.graph.NodeOf(source)
	now := time.Now()
	at := now
	if predict := a.e.cfg.Launch; predict != nil {
		if run, startup, work, ok := predict(a.spec.functions[producer].Version, a.spec.functions[node].Version, f.in); ok {
			if a.e.library.has(a.spec.functions[node]) {
				startup = 0
			}
			at = dag.LaunchAt(now, f.began.Add(run), startup, work)
		}
	}
	if !at.After(now) {
		a.advance(ev)
		return
	}
	t := time.AfterFunc(at.Sub(now), func() { a.advance(ev) })
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.over {
		t.Stop()
	}
	a.timers = append(a.timers, t)
}

// Feed implements fn.Feeder.
func (i *invocation) Feed(arg int) (iter.Seq2[value.Value, error], bool) {
	home := i.call.home
	if home == nil || i.call.node.Kind != dag.Call || arg >= len(i.call.node.Args) || !i.call.args[arg].IsNull() {
		return nil, false
	}
	a := i.call.node.Args[arg]
	if a.Const != nil {
		return nil, false
	}
	home.mu.Lock()
	f := home.flows[a.From]
	home.mu.Unlock()
	if f == nil {
		return nil, false
	}
	return f.read(i), true
}
