package cache

import (
	"context"

	"github.com/squall-faas/squall/cache/session"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/kvs/lattice"
	"github.com/squall-faas/squall/kvs/version"
)

// CommitTransaction ends the transaction that a run has made: in one atomic step, everything that it has read is still as
// it was, and everything that it writes is written. txn_conflict, and nothing is written, where something is not. It is
// done once: what was written remembers the run. again says that the run may have been executed before, by nodes that are
// gone; if that execution has committed, what it gave is lost, and the answer is outcome_unknown.
func (c *Cache) CommitTransaction(ctx context.Context, run string, t *session.State, again bool) error {
	if t == nil || !t.HasRead() && len(t.Writes) == 0 {
		return nil
	}
	once := OpID(run+"/commit", 0)
	if again {
		if err := c.neverCommitted(ctx, t, once); err != nil {
			return err
		}
	}
	lost := false // an answer was: it may be committed
	for try := 1; ; try++ {
		err := c.commit(ctx, t, once, lost)
		switch {
		case err == nil, try == mostTries, ctx.Err() != nil:
			return err
		case fault.Is(err, fault.Unavailable):
			lost = true
		case fault.Is(err, fault.TxnConflict) && !t.HasRead(): // it has seen nothing that might have changed
		case fault.Is(err, fault.TxnConflict) && lost: // what it conflicts with may be itself, stored late
		default:
			return err
		}
	}
}

// commit tries once. lost says that an attempt before may have succeeded.
func (c *Cache) commit(ctx context.Context, t *session.State, once lattice.OpID, lost bool) error {
	if err := c.mayWrite(); err != nil {
		return err
	}
	visits := make([]visit, 0, len(t.Writes))
	keys := make([]kvs.Key, 0, len(t.Writes))
	for key := range t.Writes {
		keys, visits = append(keys, key), append(visits, c.visit(key))
	}
	made, err := c.tryCommit(ctx, t, keys, visits, once, lost)
	for i := range visits {
		if err != nil || made == nil {
			visits[i].end()
			continue
		}
		it, err := itemOf(made[i], visits[i].began)
		if err != nil {
			visits[i].end() // what is not cached is read again
			continue
		}
		it.gen = visits[i].gen
		visits[i].brought(it, c.Main())
	}
	return err
}

func (c *Cache) tryCommit(ctx context.Context, t *session.State, keys []kvs.Key, visits []visit, once lattice.OpID, lost bool) ([]*version.Version, error) {
	entries, err := c.store.GetMany(ctx, keys)
	if err != nil {
		return nil, err
	}
	writes := make([]kvs.Write, len(keys))
	made := make([]*version.Version, len(keys))
	for i, key := range keys {
		it, err := visits[i].item(entries[i])
		if err != nil {
			return nil, err
		}
		base := &it.Version
		switch r, read := t.Read(key); {
		case base.Applied.Has(once) && lost:
			return nil, nil
		case base.Applied.Has(once):
			return nil, committedBefore()
		case read && !sameAsRead(r, base) && c.cfg.Break != BreakValidation:
			c.outdated(key, base.Revision)
			return nil, conflictOn(key)
		}
		next, err := applyWrite(base, t.Writes[key], c.cfg.Clock)
		if err != nil {
			return nil, err
		}
		after := *next
		after.Applied = after.Applied.With(once)
		made[i] = &after
		if writes[i], err = after.Write(expected(base)); err != nil {
			return nil, err
		}
	}
	var checks []kvs.Check
	for key, r := range t.Reads() {
		if _, written := t.Writes[key]; written || c.cfg.Break == BreakValidation {
			continue
		}
		check := kvs.Check{Key: key, Expect: r.Revision}
		if r.Absent {
			check.Expect = 0
		}
		checks = append(checks, check)
	}
	if n := len(writes) + len(checks); n > kvs.MaxBatch {
		return nil, fault.New(fault.TooLarge, "a transaction over %d keys: at most %d", n, kvs.MaxBatch)
	}
	for i := range visits {
		if err := awaitFollowed(ctx, visits[i].followed); err != nil {
			return nil, err
		}
	}
	fence := c.fence.Load()
	revisions, err := c.store.Commit(ctx, writes, checks, *fence)
	if fault.Is(err, fault.Conflict) {
		for key := range t.Reads() {
			c.refresh(key)
		}
		return nil, fault.New(fault.TxnConflict, "another write came between the transaction's reads and its commit: it begins again")
	}
	if err != nil {
		c.refusedBy(fence, err)
		return nil, err
	}
	for i, v := range made {
		made[i] = v.Stored(revisions[i])
	}
	return made, nil
}

// neverCommitted looks for the traces of an earlier commit of the same transaction.
func (c *Cache) neverCommitted(ctx context.Context, t *session.State, once lattice.OpID) error {
	keys := []kvs.Key(nil)
	for key := range t.Reads() {
		keys = append(keys, key)
	}
	entries, err := c.store.GetMany(ctx, keys)
	if err != nil {
		return err
	}
	for i := range entries {
		entries[i].Key = keys[i]
		v, err := version.Open(entries[i])
		if err != nil {
			return err
		}
		if v.Applied.Has(once) {
			return committedBefore()
		}
	}
	return nil
}

func committedBefore() error {
	return fault.New(fault.OutcomeUnknown, "the transaction was committed, once, by an execution whose answer was lost with its node: read what it wrote")
}

func sameAsRead(r session.Read, v *version.Version) bool {
	if r.Absent || v.Absent {
		return r.Absent == v.Absent
	}
	return r.Revision == v.Revision
}

func conflictOn(key kvs.Key) error {
	return fault.New(fault.TxnConflict, "key %.64q was written between the transaction's reads and its commit: it begins again", string(key))
}

// outdated notes that the store has a revision of a key.
func (c *Cache) outdated(key kvs.Key, r kvs.Revision) {
	h := c.hash(key)
	s := c.shard(h)
	s.mu.Lock()
	defer s.mu.Unlock()
	c.outdateLocked(s, h, key, r)
}

// refresh drops a key that may be too old, so that the next try does not read it again.
func (c *Cache) refresh(key kvs.Key) {
	h := c.hash(key)
	s := c.shard(h)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pending[key] == nil && s.versionLocked(h, key) != nil {
		c.dropLocked(s, s.cells[h])
	}
}
