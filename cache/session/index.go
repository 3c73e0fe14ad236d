package session

import (
	"slices"

	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/kvs/version"
)

// index is what a session knows of each key: what it has read or written of it, and the dependency on it. A read of a version
// with eight dependencies looks at nine keys. It knows their hashes already, and a slot has all that it has to know where it
// finds nothing, which is the rule: so it waits for no key (BenchmarkSessionHit; hit_dsc_ns of squall bench cache).
//
// It is an open-addressing hash table with linear probing. Nothing is ever taken out of it.
type index struct {
	slots []slot // a power of two
	used  int
	reads []read
	deps  []*version.Dep // those of the versions seen, where they lie
}

// slot is one key's, free where it has neither.
type slot struct {
	hash uint64
	read uint32 // at read-1 in reads, 0 for none
	dep  uint32 // at dep-1 in deps, 0 for none
}

type read struct {
	key kvs.Key
	Read
}

const fewest = 64 // slots of an index that has something

// key of a slot that is not free.
func (x *index) key(s *slot) kvs.Key {
	if s.read != 0 {
		return x.reads[s.read-1].key
	}
	return x.deps[s.dep-1].Key
}

// at gives the slot of a key, or the free one where it would be; nil while there are none. It is valid until the next grow.
func (x *index) at(h uint64, key *kvs.Key) *slot {
	if len(x.slots) == 0 {
		return nil
	}
	for i := h; ; i++ {
		s := &x.slots[i&uint64(len(x.slots)-1)]
		if s.read == 0 && s.dep == 0 || s.hash == h && x.key(s) == *key {
			return s
		}
	}
}

// grow makes room for n more keys.
func (x *index) grow(n int) {
	need := (x.used + n) * 4 / 3
	if n == 0 || need < len(x.slots) {
		return
	}
	old := x.slots
	size := max(len(old), fewest)
	for size <= need {
		size *= 2
	}
	if len(old) > 0 { // who has read much reads on
		size *= 2
	}
	x.slots = make([]slot, size)
	for _, s := range old {
		if s.read == 0 && s.dep == 0 {
			continue
		}
		for i := s.hash; ; i++ {
			if to := &x.slots[i&uint64(size-1)]; to.read == 0 && to.dep == 0 {
				*to = s
				break
			}
		}
	}
}

// take marks a slot as that of a hash; the caller puts something into it.
func (x *index) take(s *slot, h uint64) {
	if s.read == 0 && s.dep == 0 {
		s.hash = h
		x.used++
	}
}

// find gives what is known to have been read of a key, nil for nothing. It is valid until the next put.
func (x *index) find(h uint64, key kvs.Key) *Read {
	if s := x.at(h, &key); s != nil && s.read != 0 {
		return &x.reads[s.read-1].Read
	}
	return nil
}

func (x *index) put(h uint64, key kvs.Key, r Read) {
	x.grow(1)
	s := x.at(h, &key)
	if s.read != 0 {
		x.reads[s.read-1].Read = r
		return
	}
	x.take(s, h)
	x.reads = append(x.reads, read{key, r})
	s.read = uint32(len(x.reads))
}

// depend adds a dependency, unless there is a later one on its key. There is room for it.
func (x *index) depend(h uint64, d *version.Dep) {
	s := x.at(h, &d.Key)
	if s.dep != 0 {
		if x.deps[s.dep-1].Revision < d.Revision {
			x.deps[s.dep-1] = d
		}
		return
	}
	x.take(s, h)
	x.deps = append(x.deps, d)
	s.dep = uint32(len(x.deps))
}

func (x *index) clone() index {
	return index{slots: slices.Clone(x.slots), used: x.used, reads: slices.Clone(x.reads), deps: slices.Clone(x.deps)}
}
