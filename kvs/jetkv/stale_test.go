package jetkv

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

const kvsHour = time.Hour

// stale plays a leader that was replaced while it was paused: it answers reads of s, of which it has a stream of three
// replicas believe that, as things were, the given number of times; then the real one does.
func stale(t *testing.T, s *Store, p place, times int) (asked *int) {
	t.Helper()
	sh := s.shards[0]
	sh.replicated.Store(true)
	real := sh.leaderGet
	request, err := json.Marshal(map[string]string{"last_by_subj": p.subject})
	if err != nil {
		t.Fatal(err)
	}
	old, err := s.conn.RequestWithContext(t.Context(), real, request)
	if err != nil {
		t.Fatal(err)
	}
	asked = new(int)
	sub, err := s.conn.Subscribe("old.leader", func(m *nats.Msg) {
		answer := old
		if *asked++; *asked > times {
			if answer, err = s.conn.Request(real, m.Data, time.Minute); err != nil {
				t.Error(err)
				return
			}
		}
		if err := m.Respond(answer.Data); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sub.Unsubscribe() })
	sh.leaderGet = "old.leader"
	return asked
}

// Current does not take the word of a leader that others have replaced.
func TestCurrentAgainstAStaleLeader(t *testing.T) {
	for _, was := range []string{"a value", "nothing", "a tombstone"} {
		t.Run(was, func(t *testing.T) {
			a, b := pair(t)
			ctx := t.Context()
			if was != "nothing" {
				if _, err := b.Put(ctx, "k", value.MustOf("old"), kvs.PutOptions{}); err != nil {
					t.Fatal(err)
				}
			}
			if was == "a tombstone" {
				if err := b.Delete(ctx, "k", 0); err != nil {
					t.Fatal(err)
				}
			}
			asked := stale(t, a, a.locate("k"), 3)
			rev, err := b.Put(ctx, "k", value.MustOf("new"), kvs.PutOptions{})
			if err != nil {
				t.Fatal(err)
			}
			e, err := a.Current(ctx, "k")
			if err != nil || e.Revision != rev || *asked != 4 {
				t.Fatalf("revision %d after %d reads, %v; want %d after 4", e.Revision, *asked, err, rev)
			}
		})
	}
}

// A replica that is behind what is certain is not believed: neither by News nor by GetMany.
func TestReplicaBehind(t *testing.T) {
	a, b := pair(t)
	ctx := t.Context()
	rev, err := a.Put(ctx, "k", value.MustOf("old"), kvs.PutOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Put(ctx, "l", value.MustOf("old"), kvs.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	sh := a.shards[0]
	sh.replicated.Store(true)
	held := []kvs.Held{{Key: "k", Revision: rev}, {Key: "absent"}}
	_, mark, err := a.News(ctx, held, kvs.Mark{})
	if err != nil {
		t.Fatal(err)
	}

	// The replica answers the first times as if nothing had been written since now.
	real, upTo := sh.directGet, a.shards[0].lastSeq.Load()
	behind := 0
	sub, err := a.conn.Subscribe("old.replica", func(m *nats.Msg) {
		if behind > 0 {
			behind--
			var request map[string]any
			if err := json.Unmarshal(m.Data, &request); err != nil {
				t.Error(err)
			}
			request["up_to_seq"] = upTo
			m.Data, _ = json.Marshal(request) // of what was just read
		}
		if err := a.conn.PublishRequest(real, m.Reply, m.Data); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sub.Unsubscribe() })
	sh.directGet = "old.replica"

	later, err := b.Put(ctx, "k", value.MustOf("new"), kvs.PutOptions{})
	if err != nil {
		t.Fatal(err)
	}
	behind = 3
	newer, next, err := a.News(ctx, held, mark)
	if err != nil || len(newer) != 1 || newer[0].Revision != later || behind != 0 {
		t.Fatalf("news: %+v, %v; want revision %d", newer, err, later)
	}
	held[0].Revision = later
	if newer, _, err := a.News(ctx, held, next); err != nil || len(newer) != 0 {
		t.Fatalf("old news: %+v, %v", newer, err)
	}

	// a itself wrote l: its floor is higher than what the replica has.
	mine, err := a.Put(ctx, "l", value.MustOf("new"), kvs.PutOptions{})
	if err != nil {
		t.Fatal(err)
	}
	behind = 1
	e, err := a.GetMany(ctx, []kvs.Key{"l", "absent", "k"})
	if err != nil || e[0].Revision != mine || e[1].Revision != 0 || behind != 0 {
		t.Fatalf("get many: %+v, %v; want revision %d", e, err, mine)
	}
}

// TestNothingIsOlderThanWhatWasWrittenMeanwhile: a leader's answer that there is nothing may be older than what this store
// has written since it asked. It does not make that write a deleted one, over which another could be created.
func TestNothingIsOlderThanWhatWasWrittenMeanwhile(t *testing.T) {
	a, b := pair(t)
	ctx := t.Context()
	p := a.locate("k")
	sh := a.shards[0]
	sh.replicated.Store(true)
	leader := sh.leaderGet
	sub, err := a.conn.Subscribe("slow.leader", func(m *nats.Msg) {
		answer, err := a.conn.Request(leader, m.Data, time.Minute)
		if err != nil {
			t.Error(err)
			return
		}
		if _, err := a.Put(ctx, "k", value.MustOf("written meanwhile"), kvs.PutOptions{}); err != nil {
			t.Error(err)
		}
		if err := m.Respond(answer.Data); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sub.Unsubscribe() })
	sh.leaderGet = "slow.leader"
	if f, err := a.readLeader(ctx, p); err != nil || f.live() {
		t.Fatalf("%+v, %v: the answer was to be that there is nothing", f, err)
	}
	sh.leaderGet = leader
	for what, write := range map[string]func() error{
		"a put": func() error {
			_, err := a.CompareAndSet(ctx, "k", value.MustOf("created"), 0, kvs.PutOptions{})
			return err
		},
		"a batch": func() error {
			out, err := a.WriteMany(ctx, []kvs.Write{{Key: "k", Value: value.MustOf("created")}}, kvs.Fence{})
			if err == nil {
				err = out[0].Err
			}
			return err
		},
	} {
		if err := write(); !fault.Is(err, fault.Conflict) {
			t.Errorf("%s created what was there: %v", what, err)
		}
	}
	e, err := b.Get(ctx, "k")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := value.As[string](e.Value); err != nil || got != "written meanwhile" {
		t.Errorf("%q, %v", got, err)
	}
}
