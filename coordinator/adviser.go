package coordinator

import (
	"cmp"
	"context"
	"math/bits"
	"slices"
	"time"

	"github.com/squall-faas/squall/dag/planner"
	"github.com/squall-faas/squall/internal/advice"
	"github.com/squall-faas/squall/internal/forecast"
	"github.com/squall-faas/squall/internal/profile"
	"github.com/squall-faas/squall/internal/profile/archive"
	"github.com/squall-faas/squall/internal/wire"
	"github.com/squall-faas/squall/value"
)

// The shell around package advice: how a run is placed is looked up, and planned in the background, by what executors have
// learnt. Placing never waits for it.

// profilesEach is how long what executors have learnt is taken as it was read; they store it as often.
const profilesEach = 10 * time.Second

// adviser plans, on a goroutine of its own.
type adviser struct {
	desk *advice.Desk  // guarded by Coordinator.mu
	wake chan struct{} // there is a question

	// followed and looked count runs: placed wholly as advised, and placed with advice at hand. Guarded by Coordinator.mu.
	followed, looked uint64

	// What follows is the goroutine's own.
	book *profile.Book
	next time.Time // when it is read again
}

func newAdviser() *adviser {
	return &adviser{desk: advice.NewDesk(), wake: make(chan struct{}, 1)}
}

// AdviceStats count what the adviser has done.
type AdviceStats struct {
	advice.Stats
	Looked   uint64 // runs that were placed with advice at hand
	Followed uint64 // of them those of which every node was placed as advised
}

// Advice tells what the adviser has done.
func (c *Coordinator) Advice() AdviceStats {
	c.mu.Lock()
	defer c.mu.Unlock()
	return AdviceStats{c.adviser.desk.Stats(), c.adviser.looked, c.adviser.followed}
}

// adviseLocked gives the advice for a run whose first node is bound, nil where there is none; it is asked for where it should
// be. Without a question it costs a look into a map. Runs of one node have nothing to plan.
func (c *Coordinator) adviseLocked(now time.Time, r *run, first string) *advice.Advice {
	if len(r.pin.graph.Nodes) < 2 || len(c.members.byName) < 2 {
		return nil
	}
	k := keyOf(r)
	a, ask := c.adviser.desk.Look(now, k)
	if ask && c.adviser.desk.Ask(c.questionLocked(r, k, first)) {
		select {
		case c.adviser.wake <- struct{}{}:
		default: // it looks anyway
		}
	}
	return a
}

// keyOf tells a run's advice from others.
func keyOf(r *run) advice.Key {
	k := advice.Key{Spec: r.pin.hash}
	for i := range r.inputs {
		k.Sizes = k.Sizes.Add(bits.Len(uint(r.inputs[i].Len())), isReference(r.inputs[i]))
	}
	return k
}

func isReference(v wire.Value) bool {
	return len(v.Inline) > 0 && value.Kind(v.Inline[0]) == value.Reference
}

// questionLocked describes a run as far as it matters.
func (c *Coordinator) questionLocked(r *run, k advice.Key, first string) advice.Question {
	q := advice.Question{Key: k, Graph: r.pin.graph, Functions: r.pin.functions, First: first}
	for _, v := range r.inputs {
		in := planner.Input{Bytes: int64(v.Len()), Items: listLen(v.Inline), Stored: v.Away()}
		if isReference(v) {
			in.Bytes, in.Stored = c.sizeLocked(v), true
		}
		q.Inputs = append(q.Inputs, in)
	}
	return q
}

// sizeLocked is the size of what a reference names, as far as some executor has it cached.
func (c *Coordinator) sizeLocked(ref wire.Value) int64 {
	most := int64(0)
	for _, m := range c.members.sorted()[:min(len(c.members.byName), fewMembers)] {
		most = max(most, c.heldLocked(m.beat.From, []string{string(ref.Inline[1:])}))
	}
	return cmp.Or(most, forecast.Input.Bytes)
}

// listLen is how many elements an encoded list has; 0 where it is none, or of an encoding that does not say so at once.
func listLen(wireForm []byte) int {
	if len(wireForm) < 2 || value.Kind(wireForm[0]) != value.CBOR {
		return 0
	}
	b := wireForm[1:]
	major, n, head := cborHead(b)
	if major == 6 && n >= 64 && n <= 87 { // a typed array (RFC 8746): bytes of elements of one width
		width := 1 << (n>>4&1 + n&3)
		if m, size, _ := cborHead(b[head:]); m == 2 {
			return int(size) / width
		}
		return 0
	}
	if major != 4 {
		return 0
	}
	return int(n)
}

// cborHead reads the head of an item (RFC 8949 §3): its major type, its argument, and how long the head is. Sizes beyond 32 bits
// are no sizes of what a message carries.
func cborHead(b []byte) (major byte, n uint32, length int) {
	if len(b) == 0 {
		return 0xff, 0, 0
	}
	major, info := b[0]>>5, b[0]&31
	if info < 24 {
		return major, uint32(info), 1
	}
	more := 1 << (info - 24)
	if info > 26 || len(b) < 1+more {
		return 0xff, 0, 0
	}
	for _, x := range b[1 : 1+more] {
		n = n<<8 | uint32(x)
	}
	return major, n, 1 + more
}

// advise answers questions until the coordinator ends.
func (c *Coordinator) advise() {
	for {
		select {
		case <-c.ctx.Done():
			return
		case <-c.adviser.wake:
		}
		for rest, more := c.adviseOne(); more; rest, more = c.adviseOne() {
			if rest == 0 {
				continue
			}
			select {
			case <-c.ctx.Done():
				return
			case <-time.After(rest):
			}
		}
	}
}

// adviseOne answers the oldest question; false where there is none. rest is for how long planning should pause.
func (c *Coordinator) adviseOne() (rest time.Duration, more bool) {
	c.mu.Lock()
	q, ok := c.adviser.desk.Next()
	c.mu.Unlock()
	if !ok {
		return 0, false
	}
	c.readProfiles()
	c.mu.Lock()
	executors := c.fleetLocked(&q)
	c.mu.Unlock()
	began := time.Now()
	a, verdict, err := advice.Make(forecast.Case{
		Graph: q.Graph, Versions: q.Versions(), Inputs: q.Inputs, Executors: executors, Book: c.adviser.book,
	})
	took := time.Since(began)
	if err != nil {
		c.log.Warn("a run could not be planned; it is placed by the default rule", "dag", q.Graph.Name, "err", err)
	}
	if a != nil {
		c.log.Debug("runs are placed by a plan", "dag", q.Graph.Name, "predicted", a.Predicted, "otherwise", a.Otherwise,
			"executors", len(a.Names), "took", took)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.adviser.desk.Made(time.Now(), q.Key, a, verdict, took), true
}

// readProfiles reads what executors have learnt, unless that was done lately. Reading may take a twentieth of the time, too.
func (c *Coordinator) readProfiles() {
	began := time.Now()
	if c.adviser.book != nil && began.Before(c.adviser.next) {
		return
	}
	ctx, cancel := context.WithTimeout(c.ctx, storeLimit)
	defer cancel()
	book, err := archive.Recall(ctx, c.cfg.System)
	if err != nil {
		c.log.Info("what executors have learnt was not read; what was known stays", "err", err)
	} else {
		c.adviser.book = book
	}
	if c.adviser.book == nil {
		c.adviser.book = &profile.Book{}
	}
	now := time.Now()
	c.adviser.next = now.Add(max(profilesEach, 20*now.Sub(began)))
}

// Bounds of what OpProfiles gives: about half a megabyte.
const (
	mostProfiled = 128 // functions
	mostLinks    = 256
)

// profiles gives what executors have learnt of a DAG's functions, in their current versions by node, and of the links between
// members.
func (c *Coordinator) profiles(ctx context.Context, name string, a *wire.Answer) error {
	p, err := c.registry.pin(ctx, pinKey{target: wire.TargetDAG, name: name})
	if err != nil {
		return err
	}
	book, err := archive.Recall(ctx, c.cfg.System)
	if err != nil {
		return err
	}
	var versions, ends []string
	for i := range p.functions {
		if v := p.functions[i].Version; len(versions) < mostProfiled && !slices.Contains(versions, v) {
			versions = append(versions, v)
		}
	}
	c.mu.Lock()
	for _, m := range c.members.sorted() {
		ends = append(ends, m.beat.From.Name)
	}
	c.mu.Unlock()
	a.Functions, a.Profiles = p.functions, book.Part(versions, ends, mostLinks).Encode()
	return nil
}

// fleetLocked describes the executors among which a run is planned, the one of its first node first: as many as the planner
// weighs, of a larger fleet the least loaded, but for each function one that can run it.
func (c *Coordinator) fleetLocked(q *advice.Question) []planner.Executor {
	var members []*member
	for _, m := range c.members.sorted() {
		if m.beat.Condition == wire.Up && !m.suspect {
			members = append(members, m)
		}
	}
	slices.SortStableFunc(members, func(a, b *member) int {
		if isFirst := func(m *member) bool { return m.beat.From.Name == q.First }; isFirst(a) != isFirst(b) {
			if isFirst(a) {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.load(), b.load())
	})
	n := min(len(members), planner.MaxExecutors)
	chosen := members[:n:n]
	for i, spare := 0, n-1; i < len(q.Functions) && spare > 0; i++ {
		can := func(m *member) bool { return m.canRun(q.Functions[i]) }
		if k := slices.IndexFunc(members, can); k >= n {
			chosen[spare] = members[k]
			spare--
		}
	}
	var out []planner.Executor
	for _, m := range chosen {
		e := forecast.Executor(&m.beat)
		e.Warm, e.Lacks = map[string]bool{}, map[string]bool{}
		for i := range q.Functions {
			e.Warm[q.Functions[i].Name] = true // what it is asked to run it soon has running
			e.Lacks[q.Functions[i].Name] = !m.canRun(q.Functions[i])
		}
		out = append(out, e)
	}
	return out
}
