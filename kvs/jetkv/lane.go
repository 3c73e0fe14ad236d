package jetkv

import (
	"context"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/id"
)

const (
	// maxMessages is what JetStream takes in one batch.
	maxMessages = 1000
	// ownLife is how long a Store's own messages stay that nobody reads any more when it is gone.
	ownLife = time.Hour

	batchID     = "Nats-Batch-Id"
	batchSeq    = "Nats-Batch-Sequence"
	batchCommit = "Nats-Batch-Commit"
)

// lane is where a Store's batches go into a stream, one after another. Each begins with a witness: a message on the
// lane's subject that holds the batch's id, and expects the witness of the batch before it. So a batch is stored once at
// most, however often it is sent, and whether it was can be looked up, whatever others have written over the rest of it.
type lane struct {
	subject string
	turn    chan struct{} // holds a token while a batch is under way

	// What follows is the token holder's.
	last  uint64 // sequence of the last witness, 0 for none
	known bool   // last is right unless the witness has expired
}

// enter waits for the lane; leave must follow.
func (l *lane) enter(ctx context.Context) error { return enter(ctx, l.turn) }

// enter puts the token into turn.
func enter(ctx context.Context, turn chan struct{}) error {
	select {
	case turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fault.From(ctx.Err())
	}
}

func (l *lane) leave() { <-l.turn }

// sendBatch stores the messages all together and exactly once, and gives the sequence of the first; those of the others
// follow it. Or it fails with errExpectation, and nothing is stored; or says that it cannot tell. The caller is in the lane.
func (s *Store) sendBatch(ctx context.Context, sh *shard, body []*nats.Msg) (first uint64, err error) {
	l := &sh.lane
	t := s.try("write")
	me := writeID()
	maybe := false // an earlier attempt may have succeeded
	for {
		err := error(nil)
		if !l.known {
			_, err = s.witness(ctx, sh, me)
		}
		v := unsent
		if l.known {
			witness := message(sh, l.subject, encodeWitness(me), ownLife, l.last)
			var last uint64
			err = t.once(ctx, func(ctx context.Context) (err error) {
				last, err = s.batch(ctx, append([]*nats.Msg{witness}, body...))
				return err
			})
			if v = judge(err); v == answered {
				l.last = last - uint64(len(body))
				sh.seen(last)
				return l.last + 1, nil
			}
		}
		switch v {
		case refused:
			if !maybe {
				return 0, t.fail(ctx, err)
			}
		case unknown:
			maybe, l.known = true, false
		}
		if maybe || v == wrongSeq {
			before := l.last
			mine, rerr := s.witness(ctx, sh, me)
			switch {
			case rerr != nil:
				return 0, s.batchUnknown(ctx, maybe, rerr)
			case mine:
				sh.seen(l.last + uint64(len(body)))
				return l.last + 1, nil
			case v == refused:
				return 0, s.batchUnknown(ctx, maybe, err)
			case v == wrongSeq && l.last == before:
				return 0, errExpectation // of one of the body
			case v == wrongSeq:
				continue // an earlier batch was stored late, or its witness has expired
			}
		}
		wait := t.again
		if v == busy {
			wait = t.soon
		}
		if err := wait(ctx, err); err != nil {
			return 0, s.batchUnknown(ctx, maybe, err)
		}
	}
}

// witness asks the leader for the lane's last witness, and tells whether it is of batch me.
func (s *Store) witness(ctx context.Context, sh *shard, me uint64) (mine bool, err error) {
	m, err := s.getLeader(ctx, sh, sh.lane.subject)
	if err != nil {
		return false, err
	}
	sh.lane.last, sh.lane.known = m.seq, true
	return isWitness(m.data, me), nil
}

// batchUnknown is err, said so that the caller knows what may have happened.
func (s *Store) batchUnknown(ctx context.Context, maybe bool, err error) error {
	switch {
	case !maybe:
		return fault.From(err)
	case ctx.Err() != nil:
		return fault.New(fault.CodeOf(ctx.Err()), "a batch of writes was not confirmed; they may have been stored: read them before you try again: %w", err)
	}
	return unavailable("a batch of writes was not confirmed; they may have been stored: read them before you try again: %w", err)
}

// publishBatch sends the messages as one atomic batch and gives the sequence of the last.
func (s *Store) publishBatch(ctx context.Context, all []*nats.Msg) (uint64, error) {
	name := id.Token(12)
	for i, m := range all {
		m.Header[batchID] = []string{name}
		m.Header[batchSeq] = []string{strconv.Itoa(i + 1)}
		if i < len(all)-1 {
			// Without a reply: what is wrong with one shows in the answer to the last.
			if err := s.conn.PublishMsg(m); err != nil {
				return 0, err
			}
			continue
		}
		m.Header[batchCommit] = []string{"1"}
	}
	return s.publish(ctx, all[len(all)-1])
}

// check makes m fail its batch unless the last message of another subject is at seq.
func check(m *nats.Msg, subject string, seq uint64) *nats.Msg {
	m.Header[jetstream.ExpectedLastSubjSeqHeader] = []string{strconv.FormatUint(seq, 10)}
	m.Header[jetstream.ExpectedLastSubjSeqSubjHeader] = []string{subject}
	return m
}

// probeMessage is a message that is there only to be stored.
func probeMessage(sh *shard) *nats.Msg {
	return message(sh, sh.probe, encodeMark(), ownLife, anyRev)
}
