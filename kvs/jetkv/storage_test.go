package jetkv_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/natsconn"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/kvs/jetkv"
	"github.com/squall-faas/squall/value"
)

// until polls until ok says so.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for ctx := within(t); !ok(); {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s: not in time", what)
		}
	}
}

func put(t testing.TB, s kvs.Store, key kvs.Key, x any) kvs.Revision {
	t.Helper()
	rev, err := s.Put(within(t), key, value.MustOf(x), kvs.PutOptions{})
	if err != nil {
		t.Fatalf("put %q: %v", key, err)
	}
	return rev
}

func holds(t testing.TB, s kvs.Store, key kvs.Key, want []byte) {
	t.Helper()
	e, err := s.Get(within(t), key)
	if err != nil {
		t.Fatalf("get %q: %v", key, err)
	}
	if b, err := value.As[[]byte](e.Value); err != nil || !bytes.Equal(b, want) {
		t.Fatalf("key %q: %d bytes, want %d; %v", key, len(b), len(want), err)
	}
}

func fails(t testing.TB, err error, code fault.Code) {
	t.Helper()
	if fault.CodeOf(err) != code {
		t.Fatalf("error %v, want %s", err, code)
	}
}

// subjects lists what the streams hold under filter.
func subjects(t testing.TB, conn *nats.Conn, filter string) []string {
	t.Helper()
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for names := js.StreamNames(within(t)); ; {
		name, ok := <-names.Name()
		if !ok {
			return all
		}
		stream, err := js.Stream(within(t), name)
		if err != nil {
			t.Fatal(err)
		}
		info, err := stream.Info(within(t), jetstream.WithSubjectFilter(filter))
		if err != nil {
			t.Fatal(err)
		}
		for subject := range info.State.Subjects {
			all = append(all, subject)
		}
	}
}

// replace publishes data over subject, as a bit flip or another version of Squall would.
func replace(t testing.TB, conn *nats.Conn, subject string, data []byte) {
	t.Helper()
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(within(t), subject, data); err != nil {
		t.Fatal(err)
	}
}

func only(t testing.TB, conn *nats.Conn, filter string) string {
	t.Helper()
	all := subjects(t, conn, filter)
	if len(all) != 1 {
		t.Fatalf("%d subjects under %s, want one: %v", len(all), filter, all)
	}
	return all[0]
}

func TestReopen(t *testing.T) {
	dir := t.TempDir()
	large := bytes.Repeat([]byte("squall"), 300_000)
	revs := map[kvs.Key]kvs.Revision{}
	run := func(use func(*jetkv.Store)) {
		srv := serve(t, dir, natsconn.Durable)
		conn := dial(t, srv)
		s := open(t, conn, jetkv.Config{})
		use(s)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		conn.Close()
		srv.Shutdown()
	}
	run(func(s *jetkv.Store) {
		for i := range 50 {
			key := kvs.Key(fmt.Sprint("key ", i))
			revs[key] = put(t, s, key, []byte(key))
		}
		revs["large"] = put(t, s, "large", large)
		put(t, s, "deleted", 1)
		if err := s.Delete(within(t), "deleted", 0); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Put(within(t), "lease", value.MustOf(1), kvs.PutOptions{TTL: time.Second}); err != nil {
			t.Fatal(err)
		}
	})
	run(func(s *jetkv.Store) {
		for key, rev := range revs {
			want := []byte(key)
			if key == "large" {
				want = large
			}
			holds(t, s, key, want)
			if e, err := s.Get(within(t), key); err != nil || e.Revision != rev {
				t.Fatalf("key %q is at revision %d, %v; was at %d", key, e.Revision, err, rev)
			}
			if next := put(t, s, key, want); next <= rev {
				t.Fatalf("key %q: revision %d after %d", key, next, rev)
			}
		}
		_, err := s.Get(within(t), "deleted")
		fails(t, err, fault.NotFound)
		page, err := s.List(within(t), "", "", 100)
		if err != nil || len(page.Keys) < len(revs) || len(page.Keys) > len(revs)+1 { // the lease may still be there
			t.Fatalf("%d keys listed, %d written; %v", len(page.Keys), len(revs), err)
		}
		until(t, "the lease expires", func() bool {
			_, err := s.Get(within(t), "lease")
			return fault.Is(err, fault.NotFound)
		})
	})
}

func TestSpacesAndNamespacesAreApart(t *testing.T) {
	conn := dial(t, serve(t, "", natsconn.Memory))
	user := open(t, conn, jetkv.Config{Memory: true})
	system := open(t, conn, jetkv.Config{Memory: true, Space: jetkv.System})
	other := open(t, conn, jetkv.Config{Memory: true, Namespace: "test2"})
	put(t, user, "a", []byte("user"))
	put(t, system, "a", []byte("system"))
	put(t, other, "a", []byte("other"))
	holds(t, user, "a", []byte("user"))
	holds(t, system, "a", []byte("system"))
	holds(t, other, "a", []byte("other"))
	for _, s := range []kvs.Store{user, system, other} {
		if page, err := s.List(within(t), "", "", 10); err != nil || len(page.Keys) != 1 {
			t.Fatalf("listed %v, %v", page.Keys, err)
		}
	}
}

func TestLayout(t *testing.T) {
	conn := dial(t, serve(t, "", natsconn.Memory))
	config := func(c jetkv.Config) jetkv.Config { c.Namespace = "test"; c.Memory = !c.Memory; return c } // Memory means the opposite below
	// Several processes find no store, and make one.
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			s, err := jetkv.Open(within(t), conn, config(jetkv.Config{Shards: 2}))
			if err != nil {
				t.Error(err)
				return
			}
			_ = s.Close() // never fails
		})
	}
	wg.Wait()
	s := open(t, conn, config(jetkv.Config{})) // takes the two that are there
	put(t, s, "a", []byte("kept"))
	for name, c := range map[string]jetkv.Config{
		"other number of shards": {Shards: 4},
		"other storage":          {Memory: true},
		"bad number of shards":   {Shards: 3},
		"bad replicas":           {Replicas: 2},
		"more replicas":          {Replicas: 3},
		"bad space":              {Space: "x"},
		"bad timeout":            {Timeout: -1},
	} {
		_, err := jetkv.Open(within(t), conn, config(c))
		if !fault.Is(err, fault.InvalidArgument) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := jetkv.Open(within(t), conn, jetkv.Config{Namespace: "a.b", Memory: true})
	fails(t, err, fault.InvalidName)
	holds(t, s, "a", []byte("kept"))

	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(subjects(t, conn, "squall.>")); n != 1 {
		t.Fatalf("%d messages after refusals, want the one that was put", n)
	}
	stream, err := js.Stream(within(t), "SQUALL_KV_0")
	if err != nil {
		t.Fatal(err)
	}
	changed := stream.CachedInfo().Config
	for note, code := range map[string]fault.Code{
		`{"version":2,"shards":2,"slots":4096}`: fault.Unsupported,
		`{"version":1,"shards":2,"slots":8192}`: fault.Unsupported,
		`{"version":1,"shards":5,"slots":4096}`: fault.Unsupported,
		`nonsense`:                              fault.Unsupported,
		"":                                      fault.InvalidArgument,
	} {
		changed.Metadata = map[string]string{"squall-layout": note}
		if note == "" {
			changed.Metadata = nil
		}
		if _, err := js.UpdateStream(within(t), changed); err != nil {
			t.Fatal(err)
		}
		_, err := jetkv.Open(within(t), conn, config(jetkv.Config{}))
		if !fault.Is(err, code) {
			t.Errorf("layout %q: %v, want %s", note, err, code)
		}
	}
	note, err := json.Marshal(map[string]int{"version": 1, "shards": 2, "slots": 4096})
	if err != nil {
		t.Fatal(err)
	}
	changed.Metadata = map[string]string{"squall-layout": string(note)}
	changed.AllowDirect = false
	if _, err := js.UpdateStream(within(t), changed); err != nil {
		t.Fatal(err)
	}
	_, err = jetkv.Open(within(t), conn, config(jetkv.Config{}))
	fails(t, err, fault.InvalidArgument)
}

func TestRecordsOfOtherVersions(t *testing.T) {
	conn := dial(t, serve(t, "", natsconn.Memory))
	s := open(t, conn, jetkv.Config{Memory: true})
	put(t, s, "a", 1)
	subject := only(t, conn, "squall.test.kv.>")
	for data, code := range map[string]fault.Code{
		"\x02\x01\xa0":                    fault.Unsupported, // version
		"\x01\x09\xa0":                    fault.Unsupported, // type
		"\x01\x01\xa1\x02\x63":            fault.Unavailable, // a map cut short
		"\x01":                            fault.Unavailable,
		"\x01\x01\xa2\x02\x01\x03\x05abc": fault.Unavailable, // five bytes, it says
	} {
		replace(t, conn, subject, []byte(data))
		_, err := s.Get(within(t), "a")
		if fault.CodeOf(err) != code {
			t.Errorf("record %x: %v, want %s", data, err, code)
		}
		if e := fault.From(err); e.Retryable() {
			t.Errorf("record %x: %v is called retryable", data, err)
		}
		page, err := s.List(within(t), "", "", 10)
		if err != nil || len(page.Keys) != 1 {
			t.Errorf("record %x: listed %v, %v", data, page.Keys, err)
		}
		err = s.Delete(within(t), "a", 0)
		if code == fault.Unsupported {
			fails(t, err, code)
		} else if err != nil {
			t.Errorf("record %x cannot be deleted: %v", data, err)
		}
	}
}

func TestChunks(t *testing.T) {
	conn := dial(t, serve(t, "", natsconn.Memory))
	s := open(t, conn, jetkv.Config{Memory: true, SweepGrace: time.Hour})
	eager := open(t, conn, jetkv.Config{Memory: true, SweepGrace: time.Millisecond})
	big := func(b byte) []byte { return bytes.Repeat([]byte{b}, 1500<<10) }
	const chunks = "squall.test.kvc.>"

	put(t, s, "a", big('1'))
	put(t, s, "b", big('2'))
	if n := len(subjects(t, conn, chunks)); n != 6 {
		t.Fatalf("%d chunks of two values of three", n)
	}
	put(t, s, "a", big('3'))
	put(t, s, "b", []byte("small"))
	until(t, "replaced chunks are removed", func() bool { return len(subjects(t, conn, chunks)) == 3 })
	rev := put(t, s, "a", big('4'))
	_, err := s.CompareAndSet(within(t), "a", value.MustOf(big('5')), rev-1, kvs.PutOptions{})
	fails(t, err, fault.Conflict)
	until(t, "chunks of a conflict are removed", func() bool { return len(subjects(t, conn, chunks)) == 3 })

	// What another process left behind is garbage only when it is old.
	token := strings.SplitAfter(subjects(t, conn, chunks)[0], "kvc.")[1]
	orphan := "squall.test.kvc." + strings.Join(strings.Split(token, ".")[:3], ".") + ".00000000000000aa.0"
	replace(t, conn, orphan, []byte("\x01\x03left"))
	if n, err := s.Sweep(within(t)); err != nil || n != 0 {
		t.Fatalf("swept %d, %v: a young orphan may be part of a value being written", n, err)
	}
	until(t, "an old orphan is swept", func() bool {
		if _, err := eager.Sweep(within(t)); err != nil {
			t.Fatal(err)
		}
		return len(subjects(t, conn, chunks)) == 3
	})
	holds(t, s, "a", big('4'))

	// A chunk that was changed or is lost is seen.
	subject := subjects(t, conn, chunks)[0]
	replace(t, conn, subject, append([]byte("\x01\x03"), bytes.Repeat([]byte{'x'}, 512<<10)...))
	_, err = s.Get(within(t), "a")
	fails(t, err, fault.Unavailable)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	name, err := js.StreamNameBySubject(within(t), subject)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(within(t), name)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Purge(within(t), jetstream.WithPurgeSubject(subject)); err != nil {
		t.Fatal(err)
	}
	_, err = s.Get(within(t), "a")
	fails(t, err, fault.Unavailable)
	if fault.From(err).Retryable() {
		t.Fatalf("%v is called retryable", err)
	}
	if err := s.Delete(within(t), "a", 0); err != nil {
		t.Fatal(err)
	}
	until(t, "a deleted value's chunks are removed", func() bool { return len(subjects(t, conn, chunks)) == 0 })
}

// What stays of deleted keys goes by itself.
func TestDeletesDoNotPileUp(t *testing.T) {
	conn := dial(t, serve(t, "", natsconn.Memory))
	s := open(t, conn, jetkv.Config{Memory: true, DeleteMarkers: time.Second})
	var last kvs.Revision
	for i := range 20 {
		last = max(last, put(t, s, kvs.Key(fmt.Sprint(i)), 1))
		if err := s.Delete(within(t), kvs.Key(fmt.Sprint(i)), 0); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "the tombstones are gone", func() bool {
		n := 0
		for _, subject := range subjects(t, conn, "squall.test.kv.>") {
			if !strings.HasSuffix(subject, ".d") {
				n++
			}
		}
		return n == 0
	})
	if rev, err := s.CompareAndSet(within(t), "0", value.MustOf(1), 0, kvs.PutOptions{}); err != nil || rev == 0 {
		t.Fatalf("create: revision %d, %v", rev, err)
	}
}

// Another key with the same hash is another key.
func TestHashedKeysAreCompared(t *testing.T) {
	conn := dial(t, serve(t, "", natsconn.Memory))
	s := open(t, conn, jetkv.Config{Memory: true})
	long, other := kvs.Key(strings.Repeat("\x00", 1000)), kvs.Key(strings.Repeat("\x01", 1000))
	put(t, s, long, []byte("mine"))
	mine := only(t, conn, "squall.test.kv.>")
	put(t, s, other, []byte("other"))
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	for _, subject := range subjects(t, conn, "squall.test.kv.>") {
		if subject == mine {
			continue
		}
		name, err := js.StreamNameBySubject(within(t), subject)
		if err != nil {
			t.Fatal(err)
		}
		stream, err := js.Stream(within(t), name)
		if err != nil {
			t.Fatal(err)
		}
		m, err := stream.GetLastMsgForSubject(within(t), subject)
		if err != nil {
			t.Fatal(err)
		}
		replace(t, conn, mine, m.Data) // as if both had the same hash
	}
	_, err = s.Get(within(t), long)
	fails(t, err, fault.NotFound)
	holds(t, s, other, []byte("other"))
}

// TestNoRollup: nobody empties a stream by a message that says it stands for all before it.
func TestNoRollup(t *testing.T) {
	conn := dial(t, serve(t, "", natsconn.Memory))
	s := open(t, conn, jetkv.Config{Memory: true})
	put(t, s, "kept", 1)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	at := subjects(t, conn, "squall.*.kv.>")[0]
	for _, what := range []string{jetstream.MsgRollupAll, jetstream.MsgRollupSubject} {
		m := nats.NewMsg(at)
		m.Header.Set(jetstream.MsgRollup, what)
		if _, err := js.PublishMsg(within(t), m); err == nil {
			t.Errorf("a roll-up of %q was taken", what)
		}
	}
	if _, err := s.Get(within(t), "kept"); err != nil {
		t.Error(err)
	}
}
