package jetkv

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs"
)

// The streams publish each record of the users' space again, right after it was stored, on a plain subject: of
// squall.<ns>.kv.<h>.<hh>.<token> on squall.<ns>.upd.<h>.<hh>.<token>. A feed subscribes to those of its keys.
const (
	republishFrom = "squall.*.kv.*.*.*"
	republishTo   = "squall.{{wildcard(1)}}.upd.{{wildcard(2)}}.{{wildcard(3)}}.{{wildcard(4)}}"
)

func republish() *jetstream.RePublish {
	return &jetstream.RePublish{Source: republishFrom, Destination: republishTo}
}

// follower is a kvs.Feed: a subscription a key, all with one channel, and one goroutine.
type follower struct {
	s       *Store
	in      chan *nats.Msg
	out     chan kvs.Push
	dropped atomic.Uint64
	end     context.CancelFunc
	done    chan struct{} // closed when out is

	mu     sync.Mutex // guards what follows
	keys   map[kvs.Key]*following
	closed bool
}

// following is the interest in one key.
type following struct {
	sub  *nats.Subscription
	sure bool // the server has it
}

// Follow opens a feed. Only the users' space has them: what Squall itself keeps is watched.
func (s *Store) Follow(ctx context.Context) (kvs.Feed, error) {
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	if s.cfg.Space != User {
		s.end()
		return nil, fault.New(fault.Unsupported, "the space %q has no feeds: watch it", string(s.cfg.Space))
	}
	f := &follower{s: s, in: make(chan *nats.Msg, kvs.FeedBuffer), out: make(chan kvs.Push, kvs.FeedBuffer), done: make(chan struct{}), keys: make(map[kvs.Key]*following)}
	ctx, f.end = s.untilClose(context.WithoutCancel(ctx)) // ctx was for opening
	lost := s.conn.StatusChanged(nats.CLOSED)
	go func() {
		defer s.end()
		defer close(f.done)
		defer close(f.out)
		defer s.conn.RemoveStatusListener(lost)
		f.run(ctx, lost)
	}()
	return f, nil
}

// run hands on what arrives until ctx ends or the connection is closed.
func (f *follower) run(ctx context.Context, lost <-chan nats.Status) {
	defer f.drop()
	defer f.end()
	for {
		select {
		case m := <-f.in:
			p, ok := f.push(m)
			if !ok {
				continue
			}
			select {
			case f.out <- p:
			default:
				f.dropped.Add(1)
			}
		case <-lost:
			return
		case <-ctx.Done():
			return
		}
	}
}

// push reads a message. What cannot be read is left to whoever Gets it.
func (f *follower) push(m *nats.Msg) (kvs.Push, bool) {
	root := len("squall.") + len(f.s.cfg.Namespace) + len(".upd.")
	p, mark, ok := parsePlace(m.Subject[min(root, len(m.Subject)):])
	seq, err := strconv.ParseUint(m.Header.Get(jetstream.SequenceHeader), 10, 64)
	if !ok || mark != "" || err != nil {
		return kvs.Push{}, false
	}
	at, err := time.Parse(time.RFC3339Nano, m.Header.Get(jetstream.TimeStampHeaer))
	if err != nil {
		return kvs.Push{}, false
	}
	p.subject = p.in(f.s.cfg.Namespace, string(f.s.cfg.Space))
	fd, err := f.s.decode(f.s.shardOf(p), p, stored{seq: seq, at: at, data: m.Data})
	if err != nil {
		return kvs.Push{}, false
	}
	key, hashed, _ := decodeToken(p.token)
	if hashed {
		key = kvs.Key(fd.rec.Key)
	}
	e := kvs.Push{Entry: fd.about(key), Partial: fd.rec.Part != 0}
	if fd.live() && !e.Partial {
		if e.Value, err = fd.rec.value(fd.rec.payload); err != nil {
			return kvs.Push{}, false
		}
	}
	return e, true
}

// Add declares interest in keys. It waits for the server to have it: one round trip.
func (f *follower) Add(keys ...kvs.Key) error {
	unsure := make(map[kvs.Key]*following, len(keys))
	err := f.subscribe(keys, unsure)
	if len(unsure) == 0 {
		return err
	}
	if e := f.s.conn.FlushTimeout(min(attempt, f.s.cfg.Timeout)); err == nil && e != nil {
		err = unavailable("follow: the nats server does not answer: %w", e)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for key, k := range unsure {
		switch {
		case err == nil:
			k.sure = true
		case f.keys[key] == k && !k.sure:
			delete(f.keys, key)
			_ = k.sub.Unsubscribe() // fails only where the connection is closed
		}
	}
	return err
}

// subscribe sees to a subscription for each key. unsure gets those that the server may not have yet.
func (f *follower) subscribe(keys []kvs.Key, unsure map[kvs.Key]*following) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return kvs.FeedClosed()
	}
	for _, key := range keys {
		if err := key.Check(); err != nil {
			return err
		}
		k := f.keys[key]
		if k == nil {
			p := f.s.locate(key)
			subject := "squall." + f.s.cfg.Namespace + ".upd." + strings.TrimPrefix(p.subject, "squall."+f.s.cfg.Namespace+"."+string(f.s.cfg.Space)+".")
			sub, err := f.s.conn.ChanSubscribe(subject, f.in)
			if err != nil {
				return unavailable("follow: %w", err)
			}
			k = &following{sub: sub}
			f.keys[key] = k
		}
		if !k.sure {
			unsure[key] = k
		}
	}
	return nil
}

// Remove ends the interest in key.
func (f *follower) Remove(key kvs.Key) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if k := f.keys[key]; k != nil {
		delete(f.keys, key)
		_ = k.sub.Unsubscribe() // as above
	}
}

// drop ends all interest.
func (f *follower) drop() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	for _, k := range f.keys {
		_ = k.sub.Unsubscribe() // as above
	}
	f.keys = nil
}

// Changes are the pushes.
func (f *follower) Changes() <-chan kvs.Push { return f.out }

// Dropped counts the pushes that found the buffer full.
func (f *follower) Dropped() uint64 { return f.dropped.Load() }

// Close ends the feed and waits for its goroutine.
func (f *follower) Close() {
	f.end()
	<-f.done
}
