package check

import (
	"context"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/squall-faas/squall/cache"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/caller"
	"github.com/squall-faas/squall/internal/history"
	"github.com/squall-faas/squall/internal/id"
	"github.com/squall-faas/squall/internal/wire"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/kvs/lattice"
	"github.com/squall-faas/squall/kvs/version"
	"github.com/squall-faas/squall/value"
)

// Config of a Run; only Levels must be given.
type Config struct {
	Levels    []kvs.Level
	Runs      int // of each level; 0 is 500
	Executors int // 0 is 4; half of them have each function
	Keys      int // of each level; 0 is 24
	Workers   int // calls at a time; 0 is 12
	Seed      uint64
	Faults    bool // nodes are killed and cut off, pushes are lost, the store goes away
	// Break disables one rule of the protocol; a checker has to notice.
	Break cache.Rule
	// Latency is what a request to the store takes on average; 0 is nothing.
	Latency time.Duration
	// CheckEvery is cache.Config's.
	CheckEvery time.Duration
	// Progress is told how many of all runs have ended; nil tells nobody.
	Progress func(ended, all int)
	Logger   *slog.Logger // nil discards
}

func (c *Config) validate() error {
	if len(c.Levels) == 0 {
		return fault.New(fault.InvalidArgument, "no consistency level to check: give at least one")
	}
	for _, n := range []struct {
		what string
		at   *int
		or   int
	}{{"runs", &c.Runs, 500}, {"executors", &c.Executors, 4}, {"keys", &c.Keys, 24}, {"workers", &c.Workers, 12}} {
		if *n.at < 0 {
			return fault.New(fault.InvalidArgument, "%d %s: give a positive number, or 0 for %d", *n.at, n.what, n.or)
		}
		if *n.at == 0 {
			*n.at = n.or
		}
	}
	if c.Executors < 2 {
		return fault.New(fault.InvalidArgument, "one executor has no other to disagree with: give at least 2")
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	return nil
}

// Run has a cluster do all the runs and gives their history. It takes as long as the runs do; ctx bounds it.
func Run(ctx context.Context, cfg Config) (h *history.History, err error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	rec := newRecorder()
	s, err := newStage(ctx, cfg, rec)
	if err != nil {
		return nil, err
	}
	defer func() {
		if e := s.close(); err == nil {
			err = e
		}
	}()
	var ended atomic.Int64
	for i, level := range cfg.Levels {
		s.carryOut(ctx, i, level, cfg.Runs, &ended)
	}
	if n := cfg.control(); n > 0 {
		s.carryOut(ctx, len(cfg.Levels), kvs.LWW, n, &ended)
	}
	if ctx.Err() != nil {
		return nil, fault.From(ctx.Err())
	}
	finals, err := s.settle(ctx)
	if err != nil {
		return nil, err
	}
	s.reportWeather()
	return rec.history(finals), nil
}

// controlRuns is how many runs at lww, at least, show what the levels rule out: of 200, with 120 seeds, 47 or more did what sk,
// rr or dsc does. What mk does is rarer and comes in bursts, 14 on average but once 1; of 1,000 it was 42 or more.
const (
	controlRuns   = 200
	controlRunsMK = 1000
)

// control is how many runs at lww there are beside those that are asked for: without them a level that is never put to the test
// would pass.
func (c *Config) control() int {
	if !slices.ContainsFunc(c.Levels, history.Counts) {
		return 0
	}
	n := max(controlRuns, c.Runs/10)
	if slices.Contains(c.Levels, kvs.MultiKey) {
		n = max(n, controlRunsMK)
	}
	if slices.Contains(c.Levels, kvs.LWW) {
		n -= c.Runs
	}
	return max(n, 0)
}

func (c *Config) allRuns() int { return len(c.Levels)*c.Runs + c.control() }

// carryOut does so many runs at a level, the i-th thing that the stage sees. It ends early with ctx.
func (s *stage) carryOut(ctx context.Context, i int, level kvs.Level, runs int, ended *atomic.Int64) {
	faulty, stop := context.WithCancel(ctx)
	defer stop()
	var faults sync.WaitGroup
	if s.cfg.Faults {
		faults.Go(func() { s.befall(faulty) })
	}
	var workers sync.WaitGroup
	var drawn atomic.Int64 // runs begun
	for w := range s.cfg.Workers {
		workers.Go(func() {
			rng := rand.New(rand.NewPCG(s.cfg.Seed, uint64(100*(i+1)+w)))
			for n := int(drawn.Add(1)); n <= runs && ctx.Err() == nil; n = int(drawn.Add(1)) {
				s.call(ctx, rng, level, n)
				if n := ended.Add(1); s.cfg.Progress != nil {
					s.cfg.Progress(int(n), s.cfg.allRuns())
				}
			}
		})
	}
	workers.Wait()
	stop()
	faults.Wait()
}

// Save writes a history as squall check reads it.
func Save(h *history.History, to io.Writer) error {
	w := history.NewWriter(to)
	for _, o := range h.Ops {
		if err := w.Op(o); err != nil {
			return err
		}
	}
	for _, e := range h.Ends {
		if err := w.End(e); err != nil {
			return err
		}
	}
	for _, f := range h.Finals {
		if err := w.Final(f); err != nil {
			return err
		}
	}
	for _, f := range h.Faults {
		if err := w.Fault(f); err != nil {
			return err
		}
	}
	return w.Flush()
}

// callDeadline bounds one run.
const callDeadline = 30 * time.Second

// call makes one run, the nth at its level, and notes how it ended.
func (s *stage) call(ctx context.Context, rng *rand.Rand, level kvs.Level, n int) {
	shape := "diamond"
	if level == kvs.Strong {
		shape = "chain1"
	} else if length := rng.IntN(5); length > 0 {
		shape = "chain" + strconv.Itoa(length+1)
	}
	ack := kvs.Cached
	if rng.IntN(2) == 0 || level == kvs.Strong {
		ack = kvs.Stored
	}
	req := caller.Request{Run: id.NewRun(), Target: wire.TargetDAG, Name: shape, Level: level, Ack: ack}
	for i, t := range s.cfg.tasks(rng, n, shape, level, ack) {
		req.Inputs = append(req.Inputs, "t"+strconv.Itoa(i))
		req.Values = append(req.Values, value.MustOf(t))
	}
	ctx, cancel := context.WithTimeout(ctx, callDeadline)
	defer cancel()
	end := history.End{Run: req.Run.String(), Level: level.String(), Outcome: history.Unknown}
	out, err := s.caller.Call(ctx, req)
	switch {
	case err == nil:
		var t trail
		if t, err = value.As[trail](out.Values[0]); err == nil {
			end.Outcome, end.Attempts = history.OK, t.Attempts
		}
	case fault.Is(err, fault.TxnConflict), fault.Is(err, fault.SnapshotLost), fault.Is(err, fault.Conflict):
		end.Outcome = history.Failed
	}
	if err != nil {
		s.cfg.Logger.Info("a run failed", "run", end.Run, "level", level, "err", err)
	}
	s.rec.ended(end)
}

// settle waits until all is stored and everybody agrees, and reads what is there.
func (s *stage) settle(ctx context.Context) ([]history.Final, error) {
	s.memory.Network.Heal()
	for _, w := range s.weathers {
		w.down.Store(false)
		w.lose.Store(0)
		w.mislay.Store(0)
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	// Runs that nobody waits for any more may still be going on.
	for !s.idle() {
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return nil, fault.New(fault.DeadlineExceeded, "runs are still going on long after the last call")
		}
	}
	for _, n := range s.nodes {
		if err := n.Cache.Flush(ctx); err != nil {
			return nil, fault.New(fault.CodeOf(err), "what node %s has not stored does not get stored: %w", n.Name(), err)
		}
	}
	keys := s.written()
	store := s.memory.Join("reader").User
	var out []history.Final
	for _, key := range keys {
		e, err := store.GetMany(ctx, []kvs.Key{kvs.Key(key)})
		if err != nil {
			return nil, err
		}
		e[0].Key = kvs.Key(key)
		v, err := version.Open(e[0])
		if err != nil {
			return nil, err
		}
		f, err := finalOf(key, v)
		if err != nil {
			return nil, err
		}
		out = append(out, f)
		seen, err := s.agree(ctx, key, v)
		if err != nil {
			return nil, fault.New(fault.CodeOf(err), "the nodes do not come to agree on key %q: %w", key, err)
		}
		out = append(out, seen...)
	}
	return out, nil
}

func (s *stage) idle() bool {
	for _, n := range s.nodes {
		if !n.Idle() {
			return false
		}
	}
	return s.co.Open() == 0
}

func (s *stage) written() []string {
	s.rec.mu.Lock()
	defer s.rec.mu.Unlock()
	set := map[string]bool{}
	for _, o := range s.rec.ops {
		set[o.Key] = true
	}
	var out []string
	for k := range set {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

func finalOf(key string, v *version.Version) (history.Final, error) {
	f := history.Final{Key: key}
	if n, ok := v.State.(lattice.Counter); ok {
		f.N = n.Value()
		return f, nil
	}
	for _, x := range v.Siblings() {
		id, err := value.As[string](x)
		if err != nil {
			return f, err
		}
		f.Values = append(f.Values, id)
	}
	return f, nil
}

// agree gives what each node's cache makes of a key, once it has had the time to hear of what the store has.
func (s *stage) agree(ctx context.Context, key string, want *version.Version) ([]history.Final, error) {
	var out []history.Final
	for _, n := range s.nodes {
		deadline := time.Now().Add(30 * time.Second)
		for {
			var v *version.Version
			e, err := n.Cache.Entry(ctx, kvs.Key(key))
			switch {
			case fault.Is(err, fault.NotFound):
				v = version.None(kvs.Key(key))
			case err != nil:
				return nil, err
			default:
				if v = n.Cache.Peek(e.Key); v == nil {
					v = want // it is not kept here, and was read from the store
				}
			}
			if v.Revision == want.Revision && v.Absent == want.Absent || time.Now().After(deadline) {
				f, err := finalOf(key, v)
				if err != nil {
					return nil, err
				}
				f.Node = n.name
				out = append(out, f)
				break
			}
			select {
			case <-time.After(50 * time.Millisecond):
			case <-ctx.Done():
				return nil, fault.From(ctx.Err())
			}
		}
	}
	return out, nil
}
