package cache

import (
	"slices"
	"strings"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/squall-faas/squall/cache/session"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/kvs/lattice"
	"github.com/squall-faas/squall/kvs/version"
	"github.com/squall-faas/squall/value"
)

// item is one version of one key, as the table has it. The version is immutable; the rest is the cache's own. What a hit looks at
// comes last, beside what lies behind the item: layout.go.
type item struct {
	before atomic.Pointer[item] // the version that it replaced, pinned, where a run may need that one still
	heard  atomic.Uint64        // Gets, estimated from the sample
	gen    uint64               // checks that had ended when the read that brought it began; 0 where that is not known
	last   atomic.Uint32        // unix seconds of the last Get of the sample
	lines  uint8                // cache lines that a hit looks at
	dirty  bool                 // it shows writes that are not stored
	own    bool                 // a run's own write, as that run sees it
	pins   atomic.Int64         // bit 0: it is in the table; above it: by how many runs it is pinned
	at     atomic.Int64         // unix nanoseconds as of which it was known to be current
	marks  []session.Mark       // of Version.Deps, in their order; nil for an item that never is in the table

	version.Version
	until int64 // unix nanoseconds at which it expires; 0 is never
	cost  int64 // bytes
}

const (
	inTable = 1
	onePin  = 2
)

// enter and leave note that the item is in the table, or not any more. What is pinned and in the table is counted there.
func (v *item) enter(c *Cache) {
	if v.pins.Add(inTable) >= onePin {
		c.pins.outside.Add(-v.cost)
	}
}

func (v *item) leave(c *Cache) {
	if v.pins.Add(-inTable) >= onePin {
		c.pins.outside.Add(v.cost)
	}
	v.forget(c)
}

// pin keeps the item for a run; false where what is pinned would be more than most.
func (v *item) pin(c *Cache, most int64) bool {
	n := v.pins.Add(onePin)
	if n >= 2*onePin {
		return true
	}
	if n&inTable == 0 {
		c.pins.outside.Add(v.cost)
	}
	if c.pins.bytes.Add(v.cost) > most {
		v.unpin(c)
		return false
	}
	return true
}

func (v *item) unpin(c *Cache) {
	n := v.pins.Add(-onePin)
	if n >= onePin {
		return
	}
	c.pins.bytes.Add(-v.cost)
	if n&inTable == 0 {
		c.pins.outside.Add(-v.cost)
	}
}

// confirm notes that the item was still current at a moment.
func (v *item) confirm(at int64) {
	for {
		old := v.at.Load()
		if old >= at || v.at.CompareAndSwap(old, at) {
			return
		}
	}
}

// keepCost is the largest version that is kept after it was replaced.
const keepCost = 64 << 10

// keep remembers old, which is still in the table, beside the version that is about to replace it, where that one depends
// on others: a run that has read an older version of those must not see it, but may still see old. Runs' own pins come
// first.
func (v *item) keep(c *Cache, old *item) {
	if len(v.Deps) > 0 && old.cost <= keepCost && !old.dirty && c.fits(old.cost) && old.pin(c, c.pins.limit/2) {
		v.before.Store(old)
	}
}

// forget lets go of the version before.
func (v *item) forget(c *Cache) {
	if v.before.Load() == nil {
		return
	}
	if old := v.before.Swap(nil); old != nil {
		old.unpin(c)
	}
}

// expired reports whether a version's TTL has ended.
func (v *item) expired() bool { return v.until != 0 && time.Now().UnixNano() >= v.until }

// sight is the item as sessions see it.
func (v *item) sight() session.Sight {
	s := session.Sight{Version: &v.Version, Hash: session.Hash(v.Key), Marks: v.marks}
	if len(s.Marks) != len(v.Deps) { // it never was in the table
		s.Marks = session.MarkAll(nil, v.Deps)
	}
	return s
}

// newItem makes an item of what the store returned or pushed, which was current at a moment.
func newItem(e kvs.Entry, at time.Time) (*item, error) {
	v, err := version.Open(e)
	if err != nil {
		return nil, err
	}
	return itemOf(v, at)
}

// itemOf makes an item of a version. What the item holds shares nothing with the message that brought it.
func itemOf(v *version.Version, at time.Time) (*item, error) {
	m, siblings := v.State.(lattice.MultiValue)
	if v.State != nil && (!siblings || len(m.Siblings) != 1) { // what it reads as is the state's own, or small
		x, err := v.Value.Measure()
		if err != nil {
			return nil, fault.From(err)
		}
		it, _, err := lay(v, value.Value{})
		if err != nil {
			return nil, err
		}
		it.Value = x
		it.finish(int64(v.State.Size()+x.Size()), at)
		return it, nil
	}
	it, n, err := lay(v, v.Value)
	if err != nil {
		return nil, err
	}
	if siblings { // the one sibling is the value, and has its bytes
		m.Siblings = slices.Clone(m.Siblings)
		m.Siblings[0].Value = it.Value
		it.State = m
		n = max(n, int64(m.Size()))
	}
	it.finish(n, at)
	return it, nil
}

// ownItem makes an item of a version that a write here has made, and whose key and value are the cache's own already. Where it
// only shows what is pending it has them as they are.
func ownItem(v *version.Version, w *write, at time.Time) (*item, error) {
	if v.Revision != 0 || v.State != nil || w.Kind != version.Assign || v.Stamp != w.Stamp {
		return itemOf(v, at)
	}
	it := &item{Version: *v}
	it.Key = w.Key // that of v may be a part of what v has replaced
	it.finish(w.payload, at)
	return it, nil
}

// finish sets what follows from a version that holds so many bytes of values.
func (v *item) finish(size int64, at time.Time) {
	for i := range v.Deps {
		size += depBytes + int64(len(v.Deps[i].Key))
	}
	size += int64(v.Applied.Size())
	// Go rounds allocations up by an eighth at most, but for a few sizes.
	v.cost = overhead + int64(len(v.Key)) + size + size/8
	if !v.Expires.IsZero() {
		v.until = v.Expires.UnixNano()
	}
	v.at.Store(at.UnixNano())
}

// depBytes is what a dependency costs beside its key.
const depBytes = 64

// entry is the item as a kvs.Entry.
func (v *item) entry() kvs.Entry {
	return kvs.Entry{Key: v.Key, Value: v.Value, Revision: v.Revision, Written: v.Written, Expires: v.Expires}
}

type compacted struct {
	key   kvs.Key
	value value.Value
}

// compact gives a key and its value in the form in which they are cached, and the bytes that the value holds on to. A live
// Go value would be of unknown size, so only its encoding is kept; text stays a string, which readers get without a copy.
func compact(key kvs.Key, v value.Value) (compacted, int64, error) {
	if v.Kind() == value.Text {
		if s, err := value.As[string](v); err == nil {
			if len(s) <= together {
				b := string(key) + s
				return compacted{kvs.Key(b[:len(key)]), value.MustOf(b[len(key):])}, int64(len(s)), nil
			}
			return compacted{kvs.Key(strings.Clone(string(key))), value.MustOf(strings.Clone(s))}, int64(len(s)), nil
		}
	}
	kind, b, err := v.Payload()
	if err != nil {
		return compacted{}, 0, fault.From(err)
	}
	if len(b) <= together {
		both := make([]byte, len(key)+padding(len(key), value.Lead(kind, b))+len(b))
		at := len(both) - len(b)
		copy(both[at-len(key):], key)
		copy(both[at:], b)
		kept, err := value.FromPayload(kind, both[at:len(both):len(both)])
		if len(key) == 0 {
			return compacted{"", kept}, int64(len(b)), err
		}
		return compacted{kvs.Key(unsafe.String(&both[at-len(key)], len(key))), kept}, int64(len(b)), err
	}
	if cap(b) > len(b)+len(b)/8 {
		b = value.Copy(kind, b) // a short piece of a long buffer would keep all of it
	}
	kept, err := value.FromPayload(kind, b)
	return compacted{kvs.Key(strings.Clone(string(key))), kept}, int64(cap(b)), err
}

// own gives a copy of a key and a value that shares nothing with their maker, who may be a function that breaks its
// promise and writes to its slice after all, or has cut it from a large message; and the bytes that the copy holds.
func own(key kvs.Key, v value.Value) (compacted, int64, error) {
	kept, n, err := compact(key, v)
	if err != nil || v.Size() <= together || v.Kind() == value.Text {
		return kept, n, err
	}
	kind, b, err := kept.value.Payload()
	if err != nil {
		return kept, n, fault.From(err)
	}
	kept.value, err = value.FromPayload(kind, value.Copy(kind, b))
	return kept, int64(len(b)), err
}
