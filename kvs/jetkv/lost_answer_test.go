package jetkv

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/natsconn"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

// pair opens two stores over one server.
func pair(t *testing.T) (a, b *Store) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	srv, err := natsconn.Embed(natsconn.ServerOptions{Durability: natsconn.Memory})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Shutdown)
	for _, s := range []**Store{&a, &b} {
		conn, err := srv.Dial(ctx, natsconn.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(conn.Close)
		if *s, err = Open(ctx, conn, Config{Namespace: "test", Memory: true, Shards: 1, Timeout: 2 * time.Minute}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = (*s).Close() }) // never fails
	}
	return a, b
}

// onFirst makes the first publish of a value by s fail as if nobody had answered, after do.
func onFirst(s *Store, do func(ctx context.Context, m *nats.Msg)) (tries *int) {
	tries = new(int)
	s.send = func(ctx context.Context, m *nats.Msg) (uint64, error) {
		if *tries++; *tries > 1 {
			return s.publish(ctx, m)
		}
		do(ctx, m)
		return 0, context.DeadlineExceeded
	}
	return tries
}

// What an attempt that nobody answered did is found out before another is made.
func TestLostAnswers(t *testing.T) {
	ctx := t.Context()
	one, two := value.MustOf(1), value.MustOf(2)
	write := func(s *Store, expect uint64) (kvs.Revision, error) {
		return s.CompareAndSet(ctx, "k", one, kvs.Revision(expect), kvs.PutOptions{})
	}
	stored := func(t *testing.T, s *Store) func(context.Context, *nats.Msg) {
		return func(ctx context.Context, m *nats.Msg) {
			if _, err := s.publish(ctx, m); err != nil {
				t.Error(err)
			}
		}
	}
	for name, expect := range map[string]func(a, b *Store) uint64{
		"put":    func(_, _ *Store) uint64 { return anyRev },
		"create": func(_, _ *Store) uint64 { return 0 },
		"compare and set": func(a, _ *Store) uint64 {
			rev, err := a.Put(ctx, "k", two, kvs.PutOptions{})
			if err != nil {
				t.Fatal(err)
			}
			return uint64(rev)
		},
	} {
		t.Run(name+", stored", func(t *testing.T) {
			a, b := pair(t)
			expect := expect(a, b)
			tries := onFirst(a, stored(t, a))
			rev, err := write(a, expect)
			if err != nil || *tries != 1 {
				t.Fatalf("%v after %d tries, want success after the one that was stored", err, *tries)
			}
			if e, err := b.Get(ctx, "k"); err != nil || e.Revision != rev {
				t.Fatalf("revision %d, %v; want %d", e.Revision, err, rev)
			}
		})
		t.Run(name+", not stored", func(t *testing.T) {
			a, b := pair(t)
			expect := expect(a, b)
			tries := onFirst(a, func(context.Context, *nats.Msg) {})
			rev, err := write(a, expect)
			if err != nil || *tries != 2 {
				t.Fatalf("%v after %d tries, want success after 2", err, *tries)
			}
			if e, err := b.Get(ctx, "k"); err != nil || e.Revision != rev {
				t.Fatalf("revision %d, %v; want %d", e.Revision, err, rev)
			}
		})
		t.Run(name+", stored late", func(t *testing.T) {
			a, b := pair(t)
			expect := expect(a, b)
			var late *nats.Msg
			tries := onFirst(a, func(_ context.Context, m *nats.Msg) { late = m })
			first := a.send
			a.send = func(ctx context.Context, m *nats.Msg) (uint64, error) {
				if *tries == 1 {
					stored(t, a)(ctx, late) // between the look and the second try
				}
				return first(ctx, m)
			}
			rev, err := write(a, expect)
			if err != nil || *tries != 2 {
				t.Fatalf("%v after %d tries, want success after 2", err, *tries)
			}
			if e, err := b.Get(ctx, "k"); err != nil || e.Revision != rev {
				t.Fatalf("revision %d, %v; want %d: the value was stored twice", e.Revision, err, rev)
			}
		})
		t.Run(name+", stored and overwritten", func(t *testing.T) {
			a, b := pair(t)
			expect := expect(a, b)
			tries := onFirst(a, func(ctx context.Context, m *nats.Msg) {
				stored(t, a)(ctx, m)
				if _, err := b.Put(ctx, "k", two, kvs.PutOptions{}); err != nil {
					t.Error(err)
				}
			})
			_, err := write(a, expect)
			if !fault.Is(err, fault.Unavailable) || *tries != 1 {
				t.Fatalf("%v after %d tries, want unavailable after 1: nobody can tell whether it was stored", err, *tries)
			}
			e, err := b.Get(ctx, "k")
			if err != nil {
				t.Fatal(err)
			}
			if n, err := value.As[int](e.Value); err != nil || n != 2 {
				t.Fatalf("%d, %v: the later write was undone", n, err)
			}
		})
	}
}

// A replica that answers a direct read may be behind what this store has seen.
func TestFloors(t *testing.T) {
	f := newFloors(2)
	if fl, direct := f.get("a"); fl.rev != 0 || !direct {
		t.Fatalf("unknown: %+v, direct %v", fl, direct)
	}
	f.raise("a", 5, false, 0, true)
	f.raise("a", 4, true, 0, true)
	if fl, _ := f.get("a"); fl.rev != 5 || fl.gone {
		t.Fatalf("an older revision lowered the floor: %+v", fl)
	}
	f.raise("a", 5, true, 0, true)
	f.raise("a", 5, false, 0, true)
	if fl, _ := f.get("a"); !fl.gone {
		t.Fatal("a version that is gone came back")
	}
	f.raise("b", 1, false, 0, false)
	if fl, _ := f.get("b"); fl.rev != 0 {
		t.Fatal("a floor is kept that was not to be")
	}
	f.raise("b", 6, false, 0, true)
	if _, direct := f.get("z"); !direct {
		t.Fatal("the leader is asked though nothing was forgotten")
	}
	f.raise("c", 7, false, 0, true) // forgets a, which is young
	if _, direct := f.get("a"); direct {
		t.Fatal("a direct read will do though a young floor was forgotten")
	}
	if _, direct := f.get("c"); !direct {
		t.Fatal("the leader is asked for a key whose floor is known")
	}
}

// A stale answer is asked again of the leader. The replica that is behind is played by a stream of one server, by
// telling the store of a revision that the stream does not have yet.
func TestReadsBelowTheFloorAskTheLeader(t *testing.T) {
	a, b := pair(t)
	ctx := t.Context()
	rev, err := a.Put(ctx, "k", value.MustOf(1), kvs.PutOptions{})
	if err != nil {
		t.Fatal(err)
	}
	sh := b.shards[0]
	sh.replicated.Store(true)
	// b believes that the direct reads of k go elsewhere: there is nobody.
	direct := sh.directGet
	sh.directGet = "nobody.listens"
	if e, err := b.Get(ctx, "k"); err != nil || e.Revision != rev {
		t.Fatalf("without direct reads: revision %d, %v", e.Revision, err)
	}
	sh.directGet = direct
	p := b.locate("k")
	sh.floors.raise(p.subject, uint64(rev)+1, false, 0, true)
	f, err := b.read(ctx, p)
	if err != nil || f.seq != uint64(rev) {
		t.Fatalf("sequence %d, %v", f.seq, err)
	}
	if err := a.Delete(ctx, "k", 0); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Get(ctx, "k"); !fault.Is(err, fault.NotFound) {
		t.Fatalf("get after a delete elsewhere: %v", err)
	}
}
