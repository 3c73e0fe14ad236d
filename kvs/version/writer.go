package version

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"strings"
	"sync"
	"time"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/hlc"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/kvs/lattice"
	"github.com/squall-faas/squall/value"
)

// WriterConfig of a Writer. Only Store is required.
type WriterConfig struct {
	Store kvs.Store // stays the caller's to close, after the Writer
	// Clock stamps the writes; nil makes one of its own.
	Clock *hlc.Clock
	// Skewed tells how far this machine's clock is off the fleet's; nil has the Writer compare it with the store's, once a
	// minute, which costs one read.
	Skewed func() time.Duration
	// Remember is of how many keys the revision, stamp and small states are kept, so that a write of one costs a single
	// request; 0 is 65,536, some 10 MB where keys are short.
	Remember int
	// Sessionless has every call be a session of its own, for who serves many: a causal write then replaces what its
	// Revision names, and nothing without one.
	Sessionless bool
}

// Writer reads and writes the store for who has no cache: clients, the command line, the HTTP API. A write that returned is
// stored. None is blind: each expects the revision that the Writer remembers of its key, and where there is another one,
// that is read, the write applied to it, and tried again; so caches and Writers agree on what wins.
//
// One Writer is one session: what has been read and written through it is what its causal writes replace and depend on.
// Safe for concurrent use.
//
//	Write ──▶ lane of the key's slot ──▶ a store's write of its own, many at a time
//	                 │
//	                 └─ too many at once: they wait, and go together in one batch (group commit); writes of one key
//	                    become one
type Writer struct {
	store  kvs.Store
	clock  *hlc.Clock
	memory memory
	past   past
	skew   skew
	lanes  [lanes]lane

	sessionless bool

	life context.Context // ends with Close; of batches, which are nobody's call
	end  context.CancelFunc
	work sync.WaitGroup
}

// WriteOptions of one write; the zero value is the usual one, at kvs.LWW.
type WriteOptions struct {
	// Level: at a causal one, what this Writer has not read of the key stays beside what is written, and the write depends
	// on what the Writer has read and written before. At Strong and Transaction it takes effect at some moment during the
	// call. LWW and RepeatableRead are the same here: the last write is what is read.
	Level kvs.Level
	// TTL after which the key is gone; 0 keeps it. An Update with none leaves the key's life as it is.
	TTL time.Duration
	// Create asks that the key does not exist, Revision that it is this one; else conflict. At most one of them.
	Create   bool
	Revision kvs.Revision
	// ID of an Update, which counts once however often it is made with the same ID; zero draws one.
	ID lattice.OpID
}

func (o *WriteOptions) conditional() bool { return o.Create || o.Revision != 0 }

// NewWriter makes a Writer; Close it.
func NewWriter(cfg WriterConfig) (*Writer, error) {
	if cfg.Store == nil {
		return nil, fault.New(fault.InvalidArgument, "writer: Store is required")
	}
	if cfg.Remember <= 0 {
		cfg.Remember = 1 << 16
	}
	if cfg.Clock == nil {
		var node [8]byte
		_, _ = rand.Read(node[:]) // never fails
		cfg.Clock = hlc.New(binary.LittleEndian.Uint64(node[:]), nil)
	}
	w := &Writer{store: cfg.Store, clock: cfg.Clock}
	w.skew.outside = cfg.Skewed
	w.sessionless = cfg.Sessionless
	w.memory.init(cfg.Remember)
	w.life, w.end = context.WithCancel(context.Background())
	return w, nil
}

// Close ends writes that wait for others with cancelled, and waits for those under way. Idempotent.
func (w *Writer) Close() {
	w.end()
	for i := range w.lanes {
		w.lanes[i].close()
	}
	w.work.Wait()
}

// Get reads a key; not_found where there is none. At Strong and Transaction it proves that what it gives was current during
// the call; at the other levels it is what the store answers, never older than what this Writer knows.
func (w *Writer) Get(ctx context.Context, key kvs.Key, level kvs.Level) (*Version, error) {
	if err := level.Check(); err != nil {
		return nil, err
	}
	read := w.store.Get
	if level == kvs.Strong || level == kvs.Transaction {
		read = w.store.Current
	}
	e, err := read(ctx, key)
	if (err == nil || fault.Is(err, fault.NotFound)) && w.past.missed(level, key, e.Revision, w.clock) { // by a replica that is behind
		e, err = w.store.Current(ctx, key)
	}
	if err != nil {
		return nil, err
	}
	e.Key = key
	v, err := w.open(e)
	if err != nil {
		return nil, err
	}
	w.memory.learn(v)
	if v.Absent {
		return nil, fault.New(fault.NotFound, "there is no value under key %.64q: put one first, or correct the key", string(key))
	}
	w.note(level, key, v, v.Clock)
	return v, nil
}

// note has the session remember what it has seen, where its level makes something of that.
func (w *Writer) note(level kvs.Level, key kvs.Key, v *Version, clock func() lattice.VectorClock) {
	if w.sessionless || !level.Causal() {
		return
	}
	w.memory.see(key, clock())
	w.past.note(level, v, w.clock)
}

// Put writes v.
func (w *Writer) Put(ctx context.Context, key kvs.Key, v value.Value, o WriteOptions) (*Version, error) {
	return w.write(ctx, Mutation{Kind: Assign, Key: key, Value: v}, o)
}

// Delete removes a key; one that is not there is no error.
func (w *Writer) Delete(ctx context.Context, key kvs.Key, o WriteOptions) (*Version, error) {
	if o.Create || o.TTL != 0 {
		return nil, fault.New(fault.InvalidArgument, "a delete has neither a TTL nor the condition that the key does not exist")
	}
	if w.sessionless && o.Level.Causal() && !o.conditional() {
		return nil, fault.New(fault.InvalidArgument, "a delete at level %s removes what was seen of the key, and nothing says what: name the revision that was read, or delete at level lww", o.Level)
	}
	return w.write(ctx, Mutation{Kind: Remove, Key: key}, o)
}

// Update carries out a lattice's operation, once, and gives what the key holds after it.
func (w *Writer) Update(ctx context.Context, key kvs.Key, op lattice.Op, o WriteOptions) (*Version, error) {
	if o.ID == (lattice.OpID{}) {
		_, _ = rand.Read(o.ID[:]) // never fails
	}
	return w.write(ctx, Mutation{Kind: Update, Key: key, Op: op, ID: o.ID}, o)
}

func (w *Writer) write(ctx context.Context, m Mutation, o WriteOptions) (*Version, error) {
	err := m.Key.Check()
	if err == nil {
		err = o.Level.Check()
	}
	if err == nil {
		m.Value, err = kvs.CheckValue(m.Value)
	}
	if err == nil {
		m.TTL, err = kvs.PutOptions{TTL: o.TTL}.Lifetime()
	}
	if err == nil && o.Create && o.Revision != 0 {
		err = fault.New(fault.InvalidArgument, "a write that asks for a revision and for none: give one condition")
	}
	if err == nil {
		err = w.skew.check()
	}
	if err != nil {
		return nil, err
	}
	m.Key = kvs.Key(strings.Clone(string(m.Key)))
	p := &op{m: m, want: o.Revision, cond: o.conditional(), done: make(chan result, 1)}
	switch {
	case o.Level.Causal():
		if m.Kind != Update {
			p.m.Kind += Put - Assign
			p.m.Context = w.memory.seen(m.Key)
		}
		p.m.Deps, p.m.After = w.past.dependencies(o.Level, m.Key, w.clock)
	case p.cond, o.Level == kvs.Strong, o.Level == kvs.Transaction:
		p.m.Wins = m.Kind != Update
	}
	v, err := w.submit(ctx, p)
	if err != nil {
		return nil, err
	}
	w.note(o.Level, m.Key, v, func() lattice.VectorClock { return p.context(v) })
	return v, nil
}

// Operation is the ID of an Update that its caller names: with the same name it counts once for its key.
func Operation(name string) lattice.OpID {
	sum := sha256.Sum256([]byte("update\x00" + name))
	return lattice.OpID(sum[:16])
}

// open reads what the store has of a key.
func (w *Writer) open(e kvs.Entry) (*Version, error) {
	v, err := Open(e)
	if err != nil {
		return nil, err
	}
	w.clock.Observe(v.Stamp) // one that is refused shows when a write loses to it
	return v, nil
}

// Shown is an entry as people read it: its value is that of the register, sibling or lattice that it holds.
func Shown(e kvs.Entry) (kvs.Entry, error) {
	if e.Deleted {
		return e, nil
	}
	v, err := Open(e)
	if err != nil {
		return e, err
	}
	e.Value, e.Deleted = v.Value, v.Absent
	return e, nil
}
