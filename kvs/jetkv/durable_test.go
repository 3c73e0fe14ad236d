package jetkv_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/natsconn"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/kvs/jetkv"
	"github.com/squall-faas/squall/value"
)

// TestKilled: what was acknowledged before the server was killed is there afterwards, however it was written: single
// writes, batches, commits, meta data, deletes, TTLs, large values, and fences.
func TestKilled(t *testing.T) {
	dir := t.TempDir()
	type version struct {
		rev     kvs.Revision
		value   any
		meta    string
		deleted bool
		ttl     bool
	}
	want := map[kvs.Key]version{}
	var held []kvs.Held
	var fences []kvs.Fence
	for round := range 3 {
		srv := startChild(t, "durable", dir)
		conn := srv.dial(t)
		s := open(t, conn, jetkv.Config{})
		for key, v := range want {
			e, err := s.GetMany(within(t), []kvs.Key{key})
			if err != nil {
				t.Fatal(err)
			}
			if e := e[0]; e.Revision != v.rev || e.Deleted != v.deleted || string(e.Meta) != v.meta || v.ttl == e.Expires.IsZero() {
				t.Errorf("round %d, %q: %d, deleted %v, meta %q, expires %v; want %+v", round, key, e.Revision, e.Deleted, e.Meta, e.Expires, v)
			} else if !v.deleted {
				kind, b, err := e.Value.Payload()
				wantKind, want, err2 := value.MustOf(v.value).Payload()
				if err != nil || err2 != nil || kind != wantKind || !bytes.Equal(b, want) {
					t.Errorf("round %d, %q: another value", round, key)
				}
			}
		}
		if newer, _, err := s.News(within(t), held, kvs.Mark{}); err != nil || len(newer) != 0 {
			t.Errorf("round %d: %d news, %v", round, len(newer), err)
		}
		// Of the fences only the last holds.
		for i, f := range fences {
			_, err := s.WriteMany(within(t), []kvs.Write{{Key: "fenced", Value: value.MustOf(round), Expect: kvs.AnyRevision}}, f)
			if last := i == len(fences)-1; last != (err == nil) || !last && !fault.Is(err, fault.Fenced) {
				t.Errorf("round %d: fence %d of %d: %v", round, i, len(fences), err)
			}
		}
		f, err := s.Fence(within(t), "w")
		if err != nil {
			t.Fatal(err)
		}
		fences = append(fences, f)

		name := func(what string) kvs.Key { return kvs.Key(fmt.Sprintf("{%d}%s", round, what)) }
		rev, err := s.Put(within(t), name("put"), value.MustOf(round), kvs.PutOptions{Meta: []byte("m"), TTL: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		want[name("put")] = version{rev: rev, value: round, meta: "m", ttl: true}
		large := bytes.Repeat([]byte{byte(round)}, 3<<20)
		var writes []kvs.Write
		for i := range 200 {
			writes = append(writes, kvs.Write{Key: name(fmt.Sprint("batch ", i)), Value: value.MustOf(i), Options: kvs.PutOptions{Meta: fmt.Append(nil, i)}})
		}
		writes = append(writes, kvs.Write{Key: name("large"), Value: value.MustOf(large)}, kvs.Write{Key: "over and over", Value: value.MustOf(round), Expect: kvs.AnyRevision})
		r, err := s.WriteMany(within(t), writes, f)
		if err != nil {
			t.Fatal(err)
		}
		for i, w := range writes {
			x, err := value.As[any](w.Value)
			if err != nil || r[i].Err != nil {
				t.Fatal(err, r[i].Err)
			}
			want[w.Key] = version{rev: r[i].Revision, value: x, meta: string(w.Options.Meta)}
		}
		revs, err := s.Commit(within(t), []kvs.Write{{Key: name("batch 0"), Delete: true, Expect: r[0].Revision, Options: kvs.PutOptions{Meta: []byte("gone")}},
			{Key: name("commit"), Value: value.MustOf("c")}}, []kvs.Check{{Key: name("batch 1"), Expect: r[1].Revision}}, f)
		if err != nil {
			t.Fatal(err)
		}
		want[name("batch 0")] = version{rev: revs[0], deleted: true, meta: "gone"}
		want[name("commit")] = version{rev: revs[1], value: "c"}
		held = held[:0]
		for key, v := range want {
			if v.deleted {
				v.rev = 0
			}
			held = append(held, kvs.Held{Key: key, Revision: v.rev})
		}
		srv.kill()
		conn.Close()
	}
}

// A store that an earlier version made has streams that do not republish. It gets feeds when it is opened.
func TestStreamsOfAnEarlierVersion(t *testing.T) {
	conn := dial(t, serve(t, "", natsconn.Memory))
	s := open(t, conn, jetkv.Config{Memory: true, Shards: 1})
	put(t, s, "a", 1)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	change := func(edit func(*jetstream.StreamConfig)) {
		t.Helper()
		stream, err := js.Stream(within(t), "SQUALL_KV_0")
		if err != nil {
			t.Fatal(err)
		}
		c := stream.CachedInfo().Config
		edit(&c)
		if _, err := js.UpdateStream(within(t), c); err != nil {
			t.Fatal(err)
		}
	}
	change(func(c *jetstream.StreamConfig) { c.RePublish, c.AllowAtomicPublish = nil, false })
	s = open(t, conn, jetkv.Config{Memory: true})
	f, err := s.Follow(within(t))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Add("a"); err != nil {
		t.Fatal(err)
	}
	r, err := s.WriteMany(within(t), []kvs.Write{{Key: "a", Value: value.MustOf(2), Expect: kvs.AnyRevision}, {Key: "b", Value: value.MustOf(2)}}, kvs.Fence{})
	if err != nil || r[0].Err != nil {
		t.Fatal(err, r)
	}
	if p := <-f.Changes(); p.Key != "a" || p.Revision != r[0].Revision {
		t.Fatalf("pushed %+v, want revision %d", p, r[0].Revision)
	}
	change(func(c *jetstream.StreamConfig) {
		c.RePublish = &jetstream.RePublish{Source: "squall.*.kv.>", Destination: "elsewhere.>"}
	})
	_, err = jetkv.Open(within(t), conn, jetkv.Config{Namespace: "test", Memory: true})
	fails(t, err, fault.InvalidArgument)
}

// Only what users store is pushed: neither marks nor chunks nor Squall's own records, and nobody hears of other keys.
func TestWhatIsPushed(t *testing.T) {
	conn := dial(t, serve(t, "", natsconn.Memory))
	s := open(t, conn, jetkv.Config{Memory: true})
	system := open(t, conn, jetkv.Config{Memory: true, Space: jetkv.System})
	_, err := system.Follow(within(t))
	fails(t, err, fault.Unsupported)
	all, err := conn.SubscribeSync("squall.test.upd.>")
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.Flush(); err != nil {
		t.Fatal(err)
	}
	put(t, system, "a", 1)
	if _, err := s.Put(within(t), "a", value.MustOf(1), kvs.PutOptions{TTL: time.Hour}); err != nil {
		t.Fatal(err)
	}
	put(t, s, "a", make([]byte, 2<<20))
	if err := s.Delete(within(t), "a", 0); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Fence(within(t), "w"); err != nil {
		t.Fatal(err)
	}
	put(t, s, "last", 1)
	for n := 1; ; n++ {
		m, err := all.NextMsgWithContext(within(t))
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(m.Subject, ".last") {
			if n != 4 {
				t.Fatalf("%d messages are pushed, want the three of a and the last", n)
			}
			return
		}
		if !strings.HasSuffix(m.Subject, ".a") {
			t.Fatalf("pushed on %s", m.Subject)
		}
	}
}
