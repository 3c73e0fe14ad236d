// Package kvstest is the conformance suite of kvs.Store: what every store does, whatever it stands on.
package kvstest

import (
	"bytes"
	"context"
	"slices"
	"testing"
	"time"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

// patience bounds waits that end sooner unless something is broken.
const patience = 2 * time.Minute

// Run holds open's stores against the contract: all of it, or only the tests that are named. open gives an empty store
// and closes it with t.Cleanup; the suite calls it once for every subtest, several of which run at a time.
func Run(t *testing.T, open func(t *testing.T) kvs.Store, only ...string) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, kvs.Store)
	}{
		{"get put delete", testBasics},
		{"compare and set", testCompareAndSet},
		{"delete at a revision", testDeleteAt},
		{"revisions grow over deletes", testRevisions},
		{"ttl", testTTL},
		{"an update clears the ttl", testTTLCleared},
		{"create after expiry", testCreateAfterExpiry},
		{"bad ttl", testBadTTL},
		{"any bytes are a key", testKeys},
		{"bad keys", testBadKeys},
		{"every kind of value", testKinds},
		{"sizes", testSizes},
		{"a large value", testLarge},
		{"too large", testTooLarge},
		{"large over large over small", testLargeOverwrites},
		{"list pages", testListPages},
		{"list by prefix", testListPrefix},
		{"list while others write", testListWhileWriting},
		{"list of nothing, and bad listings", testListBad},
		{"watch in order", testWatchOrder},
		{"watch by prefix", testWatchPrefix},
		{"watch begins now", testWatchFromNow},
		{"watch of a slow reader", testWatchSlow},
		{"watch of large values", testWatchLarge},
		{"watch sees expiry", testWatchExpiry},
		{"watch ends with its context", testWatchCancel},
		{"increments of many", testIncrements},
		{"readers of a large value being overwritten", testRacingReaders},
		{"meta data", testMeta},
		{"meta data too large", testMetaTooLarge},
		{"ttl of every write over every other", testTTLEverywhere},
		{"entries tell when they expire", testExpires},
		{"get many", testGetMany},
		{"read your writes", testReadYourWrites},
		{"current", testCurrent},
		{"list of 20,000 keys", testListMany},
		{"slots", testSlots},
		{"write many, right and wrong", testWriteManyMixed},
		{"write many, badly", testWriteManyBad},
		{"write very many", testWriteManyMany},
		{"batches of many writers", testWriteManyRace},
		{"fences", testFence},
		{"fences raised under a writer", testFenceRace},
		{"commit", testCommit},
		{"bad commits, and the largest", testCommitBad},
		{"transfers", testTransfers},
		{"write skew", testWriteSkew},
		{"feed", testFeed},
		{"feed of a slow reader", testFeedSlow},
		{"feed ends with its store", testFeedCloses},
		{"news", testNews},
		{"news of expiry", testNewsOfExpiry},
		{"news are exact", testNewsModel},
		{"a cancelled context", testCancelled},
		{"close", testClose},
	} {
		if len(only) > 0 && !slices.Contains(only, test.name) {
			continue
		}
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.run(t, open(t))
		})
	}
}

func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// until polls until ok says so.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for ctx := within(t); !ok(); {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s: not so after %v", what, patience)
		}
	}
}

func put(t testing.TB, s kvs.Store, key kvs.Key, x any) kvs.Revision {
	t.Helper()
	return putFor(t, s, key, x, 0)
}

func putFor(t testing.TB, s kvs.Store, key kvs.Key, x any, ttl time.Duration) kvs.Revision {
	t.Helper()
	rev, err := s.Put(within(t), key, value.MustOf(x), kvs.PutOptions{TTL: ttl})
	if err != nil {
		t.Fatalf("put %.40q: %v", key, err)
	}
	if rev == 0 {
		t.Fatalf("put %.40q: revision 0", key)
	}
	return rev
}

func get(t testing.TB, s kvs.Store, key kvs.Key) kvs.Entry {
	t.Helper()
	e, err := s.Get(within(t), key)
	if err != nil {
		t.Fatalf("get %.40q: %v", key, err)
	}
	if e.Key != key || e.Deleted || e.Revision == 0 || e.Written.IsZero() {
		t.Fatalf("get %.40q: a bad entry: key %.40q, revision %d, deleted %v, written %v", key, e.Key, e.Revision, e.Deleted, e.Written)
	}
	return e
}

func remove(t testing.TB, s kvs.Store, key kvs.Key) {
	t.Helper()
	if err := s.Delete(within(t), key, 0); err != nil {
		t.Fatalf("delete %.40q: %v", key, err)
	}
}

// holds fails the test unless v is what value.Of(x) is, kind and payload.
func holds(t testing.TB, v value.Value, x any) {
	t.Helper()
	kind, data, err := v.Payload()
	if err != nil {
		t.Fatal(err)
	}
	wantKind, want, err := value.MustOf(x).Payload()
	if err != nil {
		t.Fatal(err)
	}
	if kind != wantKind || !bytes.Equal(data, want) {
		t.Fatalf("a %v value of %d bytes %.32x…, want a %v value of %d bytes %.32x…", kind, len(data), data, wantKind, len(want), want)
	}
}

func fails(t testing.TB, what string, err error, code fault.Code) {
	t.Helper()
	if fault.CodeOf(err) != code {
		t.Fatalf("%s: error %v, want %s", what, err, code)
	}
}

func gone(t testing.TB, s kvs.Store, key kvs.Key) {
	t.Helper()
	_, err := s.Get(within(t), key)
	fails(t, "get of a key that is not there", err, fault.NotFound)
}

func cas(t testing.TB, s kvs.Store, key kvs.Key, x any, expect kvs.Revision) (kvs.Revision, error) {
	t.Helper()
	return s.CompareAndSet(within(t), key, value.MustOf(x), expect, kvs.PutOptions{})
}

// listAll pages through everything and fails the test if a key comes twice.
func listAll(t testing.TB, s kvs.Store, prefix kvs.Key, limit int, between func()) map[kvs.Key]bool {
	t.Helper()
	all := map[kvs.Key]bool{}
	for cursor := ""; ; {
		page, err := s.List(within(t), prefix, cursor, limit)
		if err != nil {
			t.Fatalf("list: %v", err)
		}
		if len(page.Keys) > limit {
			t.Fatalf("a page of %d keys where %d were asked for", len(page.Keys), limit)
		}
		for _, key := range page.Keys {
			if all[key] {
				t.Fatalf("key %.40q is listed twice", key)
			}
			all[key] = true
		}
		if page.Next == "" {
			return all
		}
		if page.Next == cursor {
			t.Fatal("the listing does not move on")
		}
		cursor = page.Next
		if between != nil {
			between()
		}
	}
}

func watch(t testing.TB, s kvs.Store, prefix kvs.Key) <-chan kvs.Entry {
	t.Helper()
	ch, err := s.Watch(t.Context(), prefix) // for as long as the test takes: next is what does not wait forever
	if err != nil {
		t.Fatalf("watch: %v", err)
	}
	return ch
}

func next(t testing.TB, ch <-chan kvs.Entry) kvs.Entry {
	t.Helper()
	select {
	case e, ok := <-ch:
		if !ok {
			t.Fatal("the watch ended")
		}
		return e
	case <-within(t).Done():
		t.Fatalf("no change arrived within %v", patience)
		return kvs.Entry{}
	}
}
