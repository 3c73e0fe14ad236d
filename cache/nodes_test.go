package cache

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/squall-faas/squall/cache/session"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/kvs/version"
	"github.com/squall-faas/squall/value"
)

// nodes are several caches over one store that reach each other by calls.
type nodes struct {
	store *stage
	names []string
	of    map[string]*Cache

	fetched, pinned, claimed atomic.Int64

	mu     sync.Mutex // guards what follows
	owners map[kvs.Key]string
	gone   map[string]bool
	asked  map[string]int // Fetches, by the node that answers
}

// peersOf is how one of the nodes sees the others.
type peersOf struct {
	*nodes
	self string
}

func startNodes(t testing.TB, cfg Config, names ...string) *nodes {
	t.Helper()
	n := &nodes{store: newStage(t), names: names, of: map[string]*Cache{}, owners: map[kvs.Key]string{}, gone: map[string]bool{}, asked: map[string]int{}}
	for _, name := range names {
		cfg := cfg
		cfg.Store, cfg.Node, cfg.Peers = n.store, name, peersOf{n, name}
		n.of[name] = startWith(t, cfg)
	}
	return n
}

func (n *nodes) owner(key kvs.Key) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.owners[key]
}

func (n *nodes) reach(node string) (*Cache, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.gone[node] {
		return nil, fault.New(fault.Unavailable, "node %s is gone", node)
	}
	return n.of[node], nil
}

func (p peersOf) Owner(_ string, key kvs.Key) string {
	if o := p.owner(key); o != p.self {
		return o
	}
	return ""
}

func (p peersOf) Owners(_ string, key kvs.Key, most int) []string {
	o := p.owner(key)
	if o == "" {
		return nil
	}
	all := []string{o}
	for _, name := range p.names {
		if name != o {
			all = append(all, name)
		}
	}
	return all[:min(most, len(all))]
}

func (p peersOf) Fetch(ctx context.Context, node, app string, key kvs.Key) (*version.Version, int, error) {
	p.fetched.Add(1)
	p.mu.Lock()
	p.asked[node]++
	p.mu.Unlock()
	c, err := p.reach(node)
	if err != nil {
		return nil, 1, err
	}
	return c.Owned(ctx, app, key)
}

func (p peersOf) Pinned(_ context.Context, node, run string, key kvs.Key, r session.Read) (*version.Version, error) {
	p.pinned.Add(1)
	c, err := p.reach(node)
	if err != nil {
		return nil, err
	}
	return c.Pinned(run, key, r)
}

func (p peersOf) Claim(_ context.Context, home, run string, m Claim) (Claimed, error) {
	p.claimed.Add(1)
	c, err := p.reach(home)
	if err != nil {
		return Claimed{}, err
	}
	return c.Claim(run, m)
}

// run is a run, whose invocations go from node to node.
type run struct {
	t       testing.TB
	n       *nodes
	cfg     SessionConfig
	carried *session.State
}

func (n *nodes) run(t testing.TB, level kvs.Level, home string) *run {
	return &run{t: t, n: n, cfg: SessionConfig{Run: t.Name() + level.String() + home, Level: level, Home: home, Ack: kvs.Stored}}
}

// begin begins an invocation on a node.
func (r *run) begin(node string) *Session {
	r.t.Helper()
	cfg := r.cfg
	cfg.Carried = r.carried
	s, err := r.n.of[node].Begin(cfg)
	must(r.t, err)
	return s
}

// finish ends it, and carries what it has seen to the next one, as bytes.
func (r *run) finish(s *Session) {
	r.t.Helper()
	r.carried = finished(r.t, s)
}

func finished(t testing.TB, s *Session) *session.State {
	t.Helper()
	got, err := s.Finish(context.Background())
	must(t, err)
	b, err := got.Encode()
	must(t, err)
	got, err = session.Decode(s.cfg.Level, b)
	must(t, err)
	return got
}

// on executes one invocation.
func (r *run) on(node string, f func(*Session)) {
	r.t.Helper()
	s := r.begin(node)
	f(s)
	r.finish(s)
}

// also is a branch of the run that has seen the same so far.
func (r *run) also() *run {
	other := *r
	return &other
}

// release ends the run everywhere.
func (r *run) release() {
	for _, c := range r.n.of {
		c.Release(r.cfg.Run)
	}
}

func (n *nodes) inspect(t testing.TB) {
	t.Helper()
	for _, c := range n.of {
		c.tidy(time.Now().Add(2 * keepBefore)) // what is kept beside what has replaced it
		c.inspectQuiet(t)
		if st := c.Stats(); st.Pinned != 0 || st.Runs != 0 {
			t.Fatalf("%d bytes are pinned for %d runs that have ended", st.Pinned, st.Runs)
		}
	}
}

func sput(t testing.TB, s *Session, key kvs.Key, x any) {
	t.Helper()
	must(t, s.Put(context.Background(), key, value.MustOf(x), PutOptions{}))
}

func wantSiblings(t testing.TB, s *Session, key kvs.Key, want ...int) {
	t.Helper()
	all, err := s.Siblings(context.Background(), key)
	must(t, err)
	var got []int
	for _, v := range all {
		x, err := value.As[int](v)
		must(t, err)
		got = append(got, x)
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Fatalf("%q has the siblings %v, want %v", key, got, want)
	}
}

// hears waits until a node has a version of a key that others wrote.
func (n *nodes) hears(t testing.TB, node string, key kvs.Key, rev kvs.Revision) {
	t.Helper()
	until(t, "it hears", func() bool { e, err := n.of[node].Entry(t.Context(), key); return err == nil && e.Revision == rev })
}
