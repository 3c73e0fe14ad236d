package upkeep

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// TestMostEndangeredFirst: whatever was put and changed, Pop gives each object once, and none that survives fewer losses
// comes after one that survives more.
func TestMostEndangeredFirst(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var q Queue
		want := map[string]Endangered{}
		for range rapid.IntRange(0, 60).Draw(t, "steps") {
			e := Endangered{
				Key: fmt.Sprint(rapid.IntRange(0, 15).Draw(t, "key")), Lost: rapid.IntRange(0, 4).Draw(t, "lost"), Parity: 2,
				Bytes: rapid.Int64Range(0, 3).Draw(t, "bytes"), Since: start.Add(time.Duration(rapid.IntRange(0, 3).Draw(t, "since"))),
			}
			if rapid.IntRange(0, 9).Draw(t, "remove") == 0 {
				q.Remove(e.Key)
				delete(want, e.Key)
				continue
			}
			q.Put(e)
			delete(want, e.Key)
			if e.Lost > 0 && e.Lost <= e.Parity {
				want[e.Key] = e
			}
		}
		if q.Len() != len(want) {
			t.Fatalf("%d wait, not %d", q.Len(), len(want))
		}
		last := -1
		for {
			e, ok := q.Pop()
			if !ok {
				break
			}
			if e.Margin() < last {
				t.Fatalf("%+v after one with margin %d", e, last)
			}
			last = e.Margin()
			if w, ok := want[e.Key]; !ok || w.Lost != e.Lost {
				t.Fatalf("%+v was not put", e)
			}
			delete(want, e.Key)
		}
		if len(want) > 0 {
			t.Fatalf("%v are missing", want)
		}
	})
}

// TestBucket: whoever waits as told moves no more than burst and rate allow, whatever the pieces.
func TestBucket(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := Bucket{Rate: 1000, Burst: 500}
		now, moved := start, int64(0)
		for range rapid.IntRange(1, 50).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 300).Draw(t, "pause")) * time.Millisecond)
			n := rapid.Int64Range(1, 2000).Draw(t, "n")
			now = now.Add(b.Take(n, now))
			moved += n
			if allowed := 500 + int64(1001*now.Sub(start).Seconds()) + n + 1; moved > allowed {
				t.Fatalf("%d bytes after %v, %d are allowed", moved, now.Sub(start), allowed)
			}
		}
	})
	var free Bucket
	if free.Take(1<<40, start) != 0 {
		t.Fatal("a rate of 0 limits nothing")
	}
	b := Bucket{Rate: 100, Burst: 100}
	if b.Take(300, start) != 0 || b.Take(1, start) != 2*time.Second {
		t.Fatal("what was taken beyond the burst is owed")
	}
}

// TestDelta: afterwards the standby holds exactly the lender's versions, or later ones; what is dropped is only what was
// overwritten; a second delta is empty.
func TestDelta(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(label string) []Held {
			return rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) Held {
				seq := rapid.Uint64Range(1, 4).Draw(t, "seq")
				return Held{
					Key: fmt.Sprint("k", rapid.IntRange(0, 5).Draw(t, "key")), Column: rapid.IntRange(0, 2).Draw(t, "column"),
					Seq: seq, Version: fmt.Sprint("v", seq), Bytes: rapid.Int64Range(0, 100).Draw(t, "bytes"), Used: rapid.Int64Range(0, 9).Draw(t, "used"),
				}
			}), 0, 12, func(h Held) id { return id{h.Key, h.Column} }).Draw(t, label)
		}
		lender, standby := draw("lender"), draw("standby")
		send, drop := Delta(lender, standby)
		after := map[id]Held{}
		for _, h := range standby {
			after[id{h.Key, h.Column}] = h
		}
		for _, h := range drop {
			if after[id{h.Key, h.Column}] != h {
				t.Fatalf("%+v dropped, which the standby has not", h)
			}
			delete(after, id{h.Key, h.Column})
		}
		for i, h := range send {
			if i > 0 && ByValue(send[i-1], h) > 0 {
				t.Fatalf("%+v before %+v", send[i-1], h)
			}
			if _, there := after[id{h.Key, h.Column}]; there {
				t.Fatalf("%+v sent beside another version", h)
			}
			after[id{h.Key, h.Column}] = h
		}
		for _, h := range lender {
			if got := after[id{h.Key, h.Column}]; got.Seq < h.Seq {
				t.Fatalf("the standby has %+v, the lender %+v", got, h)
			}
		}
		var now []Held
		for _, h := range after {
			now = append(now, h)
		}
		if send, drop := Delta(lender, now); len(send)+len(drop) > 0 {
			t.Fatalf("again %v, %v", send, drop)
		}
	})
}
