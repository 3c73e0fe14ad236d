package jetkv

import (
	"context"
	"encoding/json"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs"
)

const (
	// maxSubjects is how many subjects one request asks for: the servers refuse one with more than 1,024 results.
	maxSubjects = 1000
	// answerBytes is about how much comes back before the rest is asked for anew.
	answerBytes = 4 << 20
)

// GetMany reads several keys, of each stream a thousand with one request.
func (s *Store) GetMany(ctx context.Context, keys []kvs.Key) ([]kvs.Entry, error) {
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	defer s.end()
	if err := kvs.CheckKeys(keys); err != nil {
		return nil, err
	}
	places := make([]place, len(keys))
	perShard := make([][]int, len(s.shards))
	for i, key := range keys {
		places[i] = s.locate(key)
		at := s.shardIndex(places[i])
		perShard[at] = append(perShard[at], i)
	}
	entries := make([]kvs.Entry, len(keys))
	g, gctx := errgroup.WithContext(ctx)
	for at, some := range perShard {
		if len(some) > 0 {
			g.Go(func() error { return s.getSome(gctx, s.shards[at], some, keys, places, entries) })
		}
	}
	if err := g.Wait(); err != nil {
		if ctx.Err() != nil {
			err = fault.From(ctx.Err())
		}
		return nil, err
	}
	return entries, nil
}

// getSome fills in the entries of one stream.
func (s *Store) getSome(ctx context.Context, sh *shard, some []int, keys []kvs.Key, places []place, entries []kvs.Entry) error {
	if len(some) == 1 { // the usual question is cheaper than one for many
		i := some[0]
		f, err := s.read(ctx, places[i])
		if err == nil {
			entries[i], err = s.settle(ctx, places[i], keys[i], f)
		}
		return err
	}
	subjects := make([]string, 0, len(some))
	there := make(map[string]stored, len(some))
	floor := make(map[string]floor)
	var doubtful []string
	for _, i := range some {
		if fl, direct := sh.floors.get(places[i].subject); !sh.replicated.Load() || direct {
			floor[places[i].subject] = fl
			subjects = append(subjects, places[i].subject)
		} else {
			doubtful = append(doubtful, places[i].subject)
		}
	}
	if _, err := s.lastOf(ctx, sh, subjects, 0, 0, func(subject string, m stored) { there[subject] = m }); err != nil {
		return err
	}
	if sh.replicated.Load() {
		for subject, fl := range floor {
			if m := there[subject]; m.seq < fl.rev && (m.seq != 0 || !fl.gone) {
				doubtful = append(doubtful, subject)
			}
		}
		if err := s.askLeader(ctx, sh, doubtful, there); err != nil {
			return err
		}
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(lookups)
	for _, i := range some {
		f, err := s.decode(sh, places[i], there[places[i].subject])
		if err != nil {
			return err
		}
		if f.rec == nil || f.rec.Part == 0 {
			if entries[i], err = s.entry(ctx, places[i], keys[i], f); err != nil {
				return err
			}
			continue
		}
		g.Go(func() (err error) {
			entries[i], err = s.settle(gctx, places[i], keys[i], f)
			return err
		})
	}
	return g.Wait()
}

// askLeader puts what the leader has of the subjects into there.
func (s *Store) askLeader(ctx context.Context, sh *shard, subjects []string, there map[string]stored) error {
	var mu sync.Mutex // guards there
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(lookups)
	for _, subject := range subjects {
		g.Go(func() error {
			m, err := s.getLeader(gctx, sh, subject)
			mu.Lock()
			defer mu.Unlock()
			there[subject] = m
			return err
		})
	}
	return g.Wait()
}

// lastOf asks any replica for the last messages of subjects, those from sequence from on, and hands them to each, possibly
// more than once. With atLeast, the replica must have got as far as that sequence; subjects must then all be in streams
// where the store's own probe is, which it adds. asOf is the least sequence up to which a replica was asked, or 0 where
// that is not known because none of the subjects has a message.
func (s *Store) lastOf(ctx context.Context, sh *shard, subjects []string, from, atLeast uint64, each func(subject string, m stored)) (asOf uint64, err error) {
	inbox := s.conn.NewInbox()
	for len(subjects) > 0 {
		n, room := 0, int(s.conn.MaxPayload())-maxEnvelope
		for n < len(subjects) && n < maxSubjects && room >= len(subjects[n])+3 {
			room -= len(subjects[n]) + 3
			n++
		}
		ask := subjects[:n]
		if atLeast > 0 {
			ask = append(ask[:n:n], sh.probe)
		}
		subjects = subjects[n:]
		for next := max(from, 1); next != 0; {
			var last, upTo uint64
			err := s.retry(ctx, "read", func(ctx context.Context) (err error) {
				last, upTo, err = s.lastPage(ctx, sh, inbox+"."+strconv.FormatUint(writeID(), 36), ask, next, each)
				if err == nil && upTo < atLeast {
					err = errBehind
				}
				return err
			})
			if err != nil {
				return 0, err
			}
			if asOf == 0 || upTo < asOf {
				asOf = upTo
			}
			if next = 0; last != 0 {
				next = last + 1
			}
		}
	}
	return asOf, nil
}

// lastPage makes one request of lastOf; last is where the next has to go on, or 0.
func (s *Store) lastPage(ctx context.Context, sh *shard, inbox string, subjects []string, from uint64, each func(string, stored)) (last, upTo uint64, err error) {
	request, err := json.Marshal(map[string]any{"multi_last": subjects, "seq": from, "max_bytes": answerBytes})
	if err != nil {
		return 0, 0, fault.New(fault.Internal, "encode a read: %w", err)
	}
	// Room for every answer and its end. SubscribeSync would make room for 65,536 messages, half a megabyte a request.
	answers := make(chan *nats.Msg, len(subjects)+1)
	sub, err := s.conn.ChanSubscribe(inbox, answers)
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = sub.Unsubscribe() }() // fails only where the connection is closed
	if err := s.conn.PublishRequest(sh.directGet, inbox, request); err != nil {
		return 0, 0, err
	}
	for {
		var m *nats.Msg
		select {
		case m = <-answers:
		case <-ctx.Done():
			return 0, 0, ctx.Err()
		}
		switch m.Header.Get("Status") {
		case "":
			got, err := readDirect(m)
			if err != nil {
				return 0, 0, err
			}
			each(m.Header.Get(jetstream.SubjectHeader), got)
			last = got.seq
		case "204":
			upTo, err = strconv.ParseUint(m.Header.Get("Nats-UpTo-Sequence"), 10, 64)
			if pending := m.Header.Get("Nats-Num-Pending"); err != nil || pending == "0" {
				last = 0
			}
			return last, upTo, err
		case "404":
			if m.Header.Get("Description") == "No Results" {
				return 0, 0, nil
			}
			return 0, 0, errBehind // one of them went away in that moment
		case "503":
			return 0, 0, nats.ErrNoResponders
		default:
			return 0, 0, unavailable("read: jetstream answers %s %s", m.Header.Get("Status"), m.Header.Get("Description"))
		}
	}
}

// readDirect reads a message as a direct read gives it.
func readDirect(m *nats.Msg) (got stored, err error) {
	got.data = m.Data
	if got.seq, err = strconv.ParseUint(m.Header.Get(jetstream.SequenceHeader), 10, 64); err != nil {
		return stored{}, fault.New(fault.Internal, "read: an answer without a sequence: %w", err)
	}
	if got.at, err = time.Parse(time.RFC3339Nano, m.Header.Get(jetstream.TimeStampHeaer)); err != nil {
		return stored{}, fault.New(fault.Internal, "read: an answer without a time: %w", err)
	}
	return got, nil
}
