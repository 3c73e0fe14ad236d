package kvstest

import (
	"testing"
	"time"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

func testTTL(t *testing.T, s kvs.Store) {
	put(t, s, "stays", 1)
	putFor(t, s, "goes", 2, time.Millisecond) // rounded up to a second
	rev, err := s.CompareAndSet(within(t), "goes too", value.MustOf(3), 0, kvs.PutOptions{TTL: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	until(t, "keys expire", func() bool {
		_, e1 := s.Get(within(t), "goes")
		_, e2 := s.Get(within(t), "goes too")
		return fault.Is(e1, fault.NotFound) && fault.Is(e2, fault.NotFound)
	})
	if all := listAll(t, s, "", 10, nil); len(all) != 1 || !all["stays"] {
		t.Fatalf("listed: %v", all)
	}
	_, err = cas(t, s, "goes too", 4, rev)
	fails(t, "compare-and-set at the revision that expired", err, fault.Conflict)
	remove(t, s, "goes")
}

func testTTLCleared(t *testing.T, s kvs.Store) {
	ttl := time.Second
	putFor(t, s, "put", 1, ttl)
	put(t, s, "put", 2)
	putFor(t, s, "longer", 1, ttl)
	putFor(t, s, "longer", 2, time.Hour)
	for { // until the machine is fast enough to set it before it expires
		rev := putFor(t, s, "set", 1, ttl)
		_, err := cas(t, s, "set", 2, rev)
		if err == nil {
			break
		}
		fails(t, "compare-and-set after expiry", err, fault.Conflict)
		ttl *= 2
	}
	putFor(t, s, "witness", 1, ttl) // expires when the others would have
	until(t, "the witness expires", func() bool {
		_, err := s.Get(within(t), "witness")
		return fault.Is(err, fault.NotFound)
	})
	for _, key := range []kvs.Key{"put", "set", "longer"} {
		holds(t, get(t, s, key).Value, 2)
	}
}

func testCreateAfterExpiry(t *testing.T, s kvs.Store) {
	first := putFor(t, s, "lease", "a", time.Second)
	var second kvs.Revision
	until(t, "the key can be created again", func() bool {
		rev, err := cas(t, s, "lease", "b", 0)
		if err != nil && !fault.Is(err, fault.Conflict) {
			t.Fatal(err)
		}
		second = rev
		return err == nil
	})
	if second <= first {
		t.Fatalf("revision %d after %d", second, first)
	}
	if e := get(t, s, "lease"); e.Revision != second {
		t.Fatalf("revision %d, the create said %d", e.Revision, second)
	}
}

func testBadTTL(t *testing.T, s kvs.Store) {
	_, err := s.Put(within(t), "a", value.MustOf(1), kvs.PutOptions{TTL: -time.Second})
	fails(t, "put", err, fault.InvalidArgument)
	_, err = s.CompareAndSet(within(t), "a", value.MustOf(1), 0, kvs.PutOptions{TTL: -1})
	fails(t, "compare-and-set", err, fault.InvalidArgument)
	gone(t, s, "a")
}
