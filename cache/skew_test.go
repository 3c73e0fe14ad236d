package cache_test

import (
	"context"
	"testing"
	"time"

	"github.com/squall-faas/squall/cache"
	"github.com/squall-faas/squall/cache/session"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/hlc"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/kvs/version"
	"github.com/squall-faas/squall/value"
)

// fleet are caches that reach each other by calls.
type fleet map[string]*cache.Cache

func (fleet) Owner(string, kvs.Key) string         { return "" }
func (fleet) Owners(string, kvs.Key, int) []string { return nil }
func (fleet) Fetch(context.Context, string, string, kvs.Key) (*version.Version, int, error) {
	return nil, 0, context.Canceled
}

func (f fleet) Pinned(_ context.Context, node, run string, key kvs.Key, r session.Read) (*version.Version, error) {
	return f[node].Pinned(run, key, r)
}

func (f fleet) Claim(_ context.Context, home, run string, m cache.Claim) (cache.Claimed, error) {
	return f[home].Claim(run, m)
}

// skewed are two nodes over one store, whose clocks are off.
func skewed(t *testing.T) (kvs.Store, fleet) {
	store := kvs.NewMemory()
	all := fleet{}
	for i, name := range []string{"ahead", "behind"} {
		off := time.Duration(1-2*i) * 100 * time.Millisecond
		c, err := cache.New(cache.Config{
			Store: store, Node: name, Peers: all,
			Clock: hlc.New(uint64(i+1), func() time.Time { return time.Now().Add(off) }),
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		all[name] = c
	}
	return store, all
}

func try(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestOwnWritesOverSkew: what a run writes later wins over what it wrote before on a node whose clock is ahead, also where a
// version home remembers the first.
func TestOwnWritesOverSkew(t *testing.T) {
	for _, home := range []string{"", "ahead", "behind"} {
		for _, level := range []kvs.Level{kvs.RepeatableRead, kvs.SingleKey, kvs.MultiKey, kvs.DistributedSession} {
			_, all := skewed(t)
			var carried *session.State
			step := func(node string, f func(*cache.Session)) {
				t.Helper()
				s, err := all[node].Begin(cache.SessionConfig{Run: "r", Level: level, Home: home, Ack: kvs.Stored, Carried: carried})
				try(t, err)
				f(s)
				carried, err = s.Finish(t.Context())
				try(t, err)
				b, err := carried.Encode() // as it travels
				try(t, err)
				carried, err = session.Decode(level, b)
				try(t, err)
			}
			put := func(x string) func(*cache.Session) {
				return func(s *cache.Session) { try(t, s.Put(t.Context(), "k", value.MustOf(x), cache.PutOptions{})) }
			}
			step("ahead", put("first"))
			step("behind", put("second"))
			step("behind", func(s *cache.Session) {
				v, err := s.Get(t.Context(), "k")
				try(t, err)
				if got, err := value.As[string](v); err != nil || got != "second" {
					t.Errorf("%v, home %q: read %q, %v", level, home, got, err)
				}
			})
		}
	}
}

// TestStrongOverSkew: at strong the later write wins whatever the clocks say, also when it is kept back; but not when it is
// stored again from its record, after another.
func TestStrongOverSkew(t *testing.T) {
	for _, buffer := range []bool{false, true} {
		store, all := skewed(t)
		begin := func(node string, buffer bool) *cache.Session {
			t.Helper()
			s, err := all[node].Begin(cache.SessionConfig{Run: node, Level: kvs.Strong, Buffer: buffer, Ack: kvs.Stored})
			try(t, err)
			return s
		}
		put := func(node string, buffer bool, x string) (kept []version.Mutation) {
			t.Helper()
			s := begin(node, buffer)
			try(t, s.Put(t.Context(), "k", value.MustOf(x), cache.PutOptions{}))
			kept = s.Kept()
			_, err := s.Finish(t.Context())
			try(t, err)
			return kept
		}
		want := func(want string) {
			t.Helper()
			e, err := store.Get(t.Context(), "k")
			try(t, err)
			if got, err := value.As[string](e.Value); err != nil || got != want {
				t.Errorf("kept back %t: the store has %q, %v, want %q", buffer, got, err, want)
			}
		}
		put("ahead", false, "first")
		kept := put("behind", buffer, "second")
		want("second")
		if !buffer {
			continue
		}
		put("behind", false, "third")
		again := begin("ahead", true)
		try(t, again.Replay(kept))
		_, err := again.Finish(t.Context())
		try(t, err)
		want("third")
	}
}

// TestOutrun: a write that a far too fast clock has made is not lost to in silence. Who writes after it is told, whether
// this node knows of it or finds it in the store, or keeps its write back; what does not go by stamps counts.
func TestOutrun(t *testing.T) {
	type writing struct {
		level  kvs.Level
		ack    kvs.Ack
		buffer bool
	}
	for _, ahead := range []time.Duration{hlc.MaxAhead - 100*time.Millisecond, hlc.MaxAhead + time.Minute} {
		for _, known := range []bool{false, true} {
			for _, w := range []writing{
				{level: kvs.LWW, ack: kvs.Stored}, {level: kvs.LWW, ack: kvs.Cached}, {level: kvs.RepeatableRead, ack: kvs.Stored},
				{level: kvs.LWW, ack: kvs.Stored, buffer: true}, {level: kvs.Strong, ack: kvs.Stored}, {level: kvs.Strong, ack: kvs.Stored, buffer: true},
			} {
				store := kvs.NewMemory()
				node := func(id uint64, off time.Duration) *cache.Cache {
					c, err := cache.New(cache.Config{Store: store, Clock: hlc.New(id, func() time.Time { return time.Now().Add(off) })})
					try(t, err)
					t.Cleanup(func() { _ = c.Close() })
					return c
				}
				fast, slow := node(1, ahead), node(2, 0)
				for _, key := range []kvs.Key{"put", "deleted"} {
					_, err := fast.Put(t.Context(), key, value.MustOf("first"))
					try(t, err)
					if known {
						_, err = slow.Get(t.Context(), key)
						try(t, err)
					}
				}
				s, err := slow.Begin(cache.SessionConfig{Run: "r", Level: w.level, Buffer: w.buffer, Ack: w.ack})
				try(t, err)
				// What is found out when it is stored reaches nobody who does not wait for that.
				told := ahead > hlc.MaxAhead && (w.level != kvs.Strong || w.buffer) && (known || w.level == kvs.Strong || w.ack == kvs.Stored && !w.buffer)
				for what, err := range map[string]error{
					"put":    s.Put(t.Context(), "put", value.MustOf("second"), cache.PutOptions{}),
					"delete": s.Delete(t.Context(), "deleted"),
				} {
					if told != fault.Is(err, fault.ClockSkew) || !told && err != nil {
						t.Errorf("%v ahead, known %v, %+v, %s: %v, want clock_skew: %v", ahead, known, w, what, err, told)
					}
				}
				_, err = s.Finish(t.Context())
				try(t, err)
			}
		}
	}
}
