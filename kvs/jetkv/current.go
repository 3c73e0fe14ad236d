package jetkv

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go"

	"github.com/squall-faas/squall/kvs"
)

// Current is a linearizable Get. A stream with one replica has one server to ask, and its word is proof. With more, a
// leader that was replaced while it was paused may answer, too. So what the leader said is proven by storing a probe that
// expects it; only the real leader can do that. Where others keep writing the key, so that the probe finds it in flight,
// a plain probe is stored, and whatever replica holds it already is asked instead.
func (s *Store) Current(ctx context.Context, key kvs.Key) (kvs.Entry, error) {
	if err := s.begin(ctx); err != nil {
		return kvs.Entry{}, err
	}
	defer s.end()
	if err := key.Check(); err != nil {
		return kvs.Entry{}, err
	}
	p := s.locate(key)
	sh := s.shardOf(p)
	for {
		f, err := s.readLeader(ctx, p)
		if err != nil {
			return kvs.Entry{}, err
		}
		if sh.replicated.Load() {
			f, err = s.prove(ctx, sh, p, f)
			if errors.Is(err, errExpectation) {
				continue
			}
			if err != nil {
				return kvs.Entry{}, err
			}
		}
		e, err := s.entry(ctx, p, key, f)
		if !errors.Is(err, errChunkGone) {
			return e, err
		}
		if again, err := s.readLeader(ctx, p); err == nil && again.seq == f.seq {
			return kvs.Entry{}, corrupt("a chunk of key %.64q is missing", string(key))
		}
	}
}

// prove gives f if it is current, or something that is.
func (s *Store) prove(ctx context.Context, sh *shard, p place, f found) (found, error) {
	var seq uint64
	err := s.try("read").once(ctx, func(ctx context.Context) (err error) {
		seq, err = s.send(ctx, check(probeMessage(sh), p.subject, f.seq))
		return err
	})
	switch judge(err) {
	case answered:
		sh.seen(seq)
		return f, nil
	case wrongSeq:
		return found{}, errExpectation
	}
	seq, err = s.probe(ctx, sh)
	if err != nil {
		return found{}, err
	}
	var m stored
	if _, err := s.lastOf(ctx, sh, []string{p.subject}, 0, seq, func(subject string, got stored) {
		if subject == p.subject {
			m = got
		}
	}); err != nil {
		return found{}, err
	}
	return s.decode(sh, p, m)
}

// probe stores a message and gives its sequence: every write that was acknowledged before has a lower one.
func (s *Store) probe(ctx context.Context, sh *shard) (seq uint64, err error) {
	var m *nats.Msg
	err = s.retry(ctx, "read", func(ctx context.Context) (err error) {
		m = probeMessage(sh)
		seq, err = s.send(ctx, m)
		return err
	})
	sh.seen(seq)
	return seq, err
}
