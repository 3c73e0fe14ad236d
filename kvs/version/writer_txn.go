package version

import (
	"context"
	"crypto/rand"
	"strings"
	"sync"
	"time"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/kvs/lattice"
	"github.com/squall-faas/squall/value"
)

// mostRestarts is how often a transaction that met other writes begins again.
const mostRestarts = 32

// Txn carries out f's reads and writes as one transaction over keys of one {tag}: when it commits, everything that f has
// read is still as it was, and everything that it writes becomes visible at once (optimistic concurrency control, Kung and
// Robinson 1981). Where something is not, f is called again, up to 32 times, and then the error is txn_conflict. Nothing is
// written where f returns an error, which Txn gives. What f has read need not fit together until Txn returns nil: so f must
// have no effects of its own.
func (w *Writer) Txn(ctx context.Context, f func(*Txn) error) error {
	var id lattice.OpID
	_, _ = rand.Read(id[:]) // never fails
	for try := 1; ; try++ {
		if err := w.skew.check(); err != nil {
			return err
		}
		t := &Txn{w: w, id: id, keys: make(map[kvs.Key]*part)}
		err := f(t)
		t.end()
		if err == nil {
			err = t.commit(ctx)
		}
		if !fault.Is(err, fault.TxnConflict) || try == mostRestarts || ctx.Err() != nil {
			return err
		}
		pause(ctx, time.Duration(min(try, 20))*time.Millisecond)
	}
}

// Txn is a transaction under way; it is valid until f returns. Safe for concurrent use. Errors of its methods are
// txn_cross_shard for a key of another {tag}, and the store's.
type Txn struct {
	w  *Writer
	id lattice.OpID // of whatever is written: it tells whether the transaction was committed

	mu   sync.Mutex // guards what follows
	keys map[kvs.Key]*part
	tag  kvs.Key // a key of it
	over bool
}

// part is a key of a transaction.
type part struct {
	read *Version // as the store had it
	next *Version // as the transaction leaves it; nil where it only reads
}

func (p *part) now() *Version {
	if p.next != nil {
		return p.next
	}
	return p.read
}

// atLocked gives the key's part, and reads the key where that is the first time.
func (t *Txn) atLocked(ctx context.Context, key kvs.Key) (*part, error) {
	if t.over {
		return nil, fault.New(fault.Cancelled, "the transaction is over: use it only inside its function")
	}
	if p := t.keys[key]; p != nil {
		return p, nil
	}
	if err := key.Check(); err != nil {
		return nil, err
	}
	if t.tag != "" && t.w.store.Slot(t.tag) != t.w.store.Slot(key) {
		return nil, fault.New(fault.TxnCrossShard, "keys %.64q and %.64q do not share a {tag}: a transaction is over keys that do, as in a{7} and b{7}", string(t.tag), string(key))
	}
	key = kvs.Key(strings.Clone(string(key)))
	entries, err := t.w.store.GetMany(ctx, []kvs.Key{key})
	if err != nil {
		return nil, err
	}
	entries[0].Key = key
	v, err := t.w.open(entries[0])
	if err != nil {
		return nil, err
	}
	p := &part{read: v}
	t.keys[key], t.tag = p, key
	return p, nil
}

// Get reads a key as the transaction leaves it; not_found where there is none.
func (t *Txn) Get(ctx context.Context, key kvs.Key) (value.Value, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p, err := t.atLocked(ctx, key)
	if err != nil {
		return value.Value{}, err
	}
	v := p.now()
	if v.Absent {
		return value.Value{}, fault.New(fault.NotFound, "there is no value under key %.64q", string(key))
	}
	return v.Value, nil
}

// Put writes v.
func (t *Txn) Put(ctx context.Context, key kvs.Key, v value.Value) error {
	v, err := kvs.CheckValue(v)
	if err != nil {
		return err
	}
	_, err = t.write(ctx, Mutation{Kind: Assign, Value: v, Wins: true}, key)
	return err
}

// Delete removes a key; one that is not there is no error.
func (t *Txn) Delete(ctx context.Context, key kvs.Key) error {
	_, err := t.write(ctx, Mutation{Kind: Remove, Wins: true}, key)
	return err
}

// Update carries out a lattice's operation and gives what the key holds then.
func (t *Txn) Update(ctx context.Context, key kvs.Key, op lattice.Op) (value.Value, error) {
	v, err := t.write(ctx, Mutation{Kind: Update, Op: op}, key)
	if err != nil {
		return value.Value{}, err
	}
	return v.Value, nil
}

func (t *Txn) write(ctx context.Context, m Mutation, key kvs.Key) (*Version, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p, err := t.atLocked(ctx, key)
	if err != nil {
		return nil, err
	}
	m.Key, m.Stamp = key, t.w.clock.Now()
	next, _, err := Apply(p.now(), &m)
	if err != nil {
		return nil, err
	}
	p.next = next
	return next, nil
}

// end keeps late goroutines of f from adding anything.
func (t *Txn) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.over = true
}

// commit ends the transaction. Asked again after an answer that was lost it commits once: what it writes remembers it.
func (t *Txn) commit(ctx context.Context) error {
	var writes []kvs.Write
	var checks []kvs.Check
	var written []kvs.Key
	for key, p := range t.keys {
		expect := expectation(p.read)
		if p.next == nil {
			checks = append(checks, kvs.Check{Key: key, Expect: expect})
			continue
		}
		next := *p.next
		next.Applied = next.Applied.With(t.id)
		write, err := next.Write(expect)
		if err != nil {
			return err
		}
		writes, written = append(writes, write), append(written, key)
	}
	if n := len(writes) + len(checks); n > kvs.MaxBatch {
		return fault.New(fault.TooLarge, "a transaction over %d keys: at most %d", n, kvs.MaxBatch)
	}
	maybe := false
	for lost := 0; ; {
		revs, err := t.w.store.Commit(ctx, writes, checks, kvs.Fence{})
		conflict := fault.Is(err, fault.Conflict)
		switch {
		case err == nil:
			for i, key := range written {
				next := *t.keys[key].next
				next.Applied = next.Applied.With(t.id)
				t.w.memory.learn(next.Stored(revs[i]))
			}
			return nil
		case conflict && !maybe:
			return errOutrun()
		case conflict:
		case !mayBeStored(err) || len(writes) == 0:
			return err
		default:
			maybe = true
			if lost++; lost == mostLost {
				return unconfirmed(written[0], err)
			}
		}
		switch done, open, err := t.look(ctx, written); {
		case err != nil:
			return unconfirmed(written[0], err)
		case done:
			return nil
		case conflict || !open: // what has changed never changes back, so no earlier attempt can be stored any more either
			return errOutrun()
		}
	}
}

func errOutrun() error {
	return fault.New(fault.TxnConflict, "another write came between the transaction's reads and its commit: begin it again; where that happens often, spread the work over more keys")
}

// look tells whether the transaction is committed, and if not, whether it still can be.
func (t *Txn) look(ctx context.Context, written []kvs.Key) (done, open bool, err error) {
	entries, err := t.w.store.GetMany(ctx, written)
	if err != nil {
		return false, false, err
	}
	open = true
	for i, key := range written {
		entries[i].Key = key
		v, err := t.w.open(entries[i])
		if err != nil {
			return false, false, err
		}
		if v.Applied.Has(t.id) {
			return true, false, nil
		}
		open = open && expectation(v) == expectation(t.keys[key].read)
	}
	return false, open, nil
}
