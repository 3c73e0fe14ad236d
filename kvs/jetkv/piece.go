package jetkv

import (
	"context"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/squall-faas/squall/kvs"
)

// ownMessages is how many messages of a batch are the store's own: the witness and the fence's probe.
const ownMessages = 2

// piece is one write, or check, of a batch.
type piece struct {
	place
	at     int // position among the caller's
	key    kvs.Key
	want   kvs.Revision // the caller's expectation
	expect uint64       // what that means to JetStream: a sequence, 0 for none there, anyRev
	bury   bool         // it is a delete
	probe  bool         // it only checks, or is a delete in a Commit of what is not there
	life   time.Duration
	timed  bool // the mark that tells that the key may expire must be written too
	marked bool // marks are written already
	begin  time.Time

	rec  *record
	data []byte // its encoding
	seq  uint64 // where it was stored
}

func (x *piece) size() int { return len(x.data) + 2*len(x.subject) + 200 }

// messages is how many the piece takes.
func (x *piece) messages() int {
	if x.bury && !x.probe && !x.marked || x.timed && !x.marked {
		return 2
	}
	return 1
}

// newPiece is the piece of a checked write; its record lacks the payload.
func (s *Store) newPiece(at int, w kvs.Write, life time.Duration) (*piece, []byte, error) {
	p := s.locate(w.Key)
	rec, payload, err := newRecord(p, w, life)
	if err != nil {
		return nil, nil, err
	}
	x := &piece{place: p, at: at, key: w.Key, want: w.Expect, bury: w.Delete, life: life, rec: rec, begin: time.Now()}
	if w.Delete {
		x.life = s.buried()
	}
	return x, payload, nil
}

// finish encodes the record, whose payload or chunks are there now.
func (s *Store) finish(x *piece) (err error) {
	if err = s.inTime(x.key, x.rec, x.begin); err == nil {
		x.data, err = s.encode(x.key, x.rec)
	}
	return err
}

// expect says what the pieces expect of JetStream, by what is known or by looking, and settles those that need no
// message: conflicts, and deletes of nothing.
func (s *Store) expect(ctx context.Context, sh *shard, pieces []*piece, settle func(*piece, kvs.Result)) ([]*piece, error) {
	var ready, unsure []*piece
	now := time.Now()
	for _, x := range pieces {
		fl, _ := sh.floors.get(x.subject)
		x.timed = !x.bury && x.life > 0 && !fl.timed.After(now.Add(x.life+slack))
		x.expect = uint64(x.want)
		switch {
		case x.bury && (x.want == kvs.AnyRevision || x.want == 0):
			x.expect = 0 // not anyRev: whoever deletes must know what
			unsure = append(unsure, x)
			continue
		case x.want == kvs.AnyRevision:
		case x.want == 0 && fl.buried:
			x.expect = fl.rev // a tombstone, if it is still there
		case x.want != 0 && fl.buried && fl.rev == x.expect:
			settle(x, kvs.Result{Err: kvs.Conflict(x.key, x.want, 0)}) // a tombstone's revision
			continue
		}
		ready = append(ready, x)
	}
	if len(unsure) == 0 {
		return ready, nil
	}
	rest, _, err := s.examine(ctx, sh, unsure, nil, settle)
	return append(ready, rest...), err
}

// examine looks at what the pieces expect, settles those that cannot be stored any more or need not be, and gives the
// others, their expectations renewed. changed tells whether any expectation was another. It fails with fenced if f is
// overtaken.
func (s *Store) examine(ctx context.Context, sh *shard, pieces []*piece, f *fencing, settle func(*piece, kvs.Result)) (rest []*piece, changed bool, err error) {
	expected := make(map[string]uint64, len(pieces)+1)
	for _, x := range pieces {
		if x.expect != anyRev {
			expected[x.subject] = x.expect
		}
	}
	if f != nil {
		expected[f.subject] = f.mark
	}
	there, err := s.peek(ctx, sh, expected)
	if err != nil {
		return nil, false, err
	}
	if f != nil && f.overtaken(there[f.subject].seq, sh.replicated.Load()) {
		return nil, false, kvs.Overtaken(f.writer)
	}
	for _, x := range pieces {
		if x.expect == anyRev {
			rest = append(rest, x)
			continue
		}
		m := there[x.subject]
		r, done := x.meet(s.lives(sh, x.place, m), m.seq)
		changed = changed || x.expect != m.seq
		x.expect = m.seq
		if done {
			settle(x, r)
			continue
		}
		x.probe = x.probe && !x.bury
		rest = append(rest, x)
	}
	return rest, changed, nil
}

// lives tells whether m holds a value. What cannot be read does: it can be overwritten and deleted.
func (s *Store) lives(sh *shard, p place, m stored) bool {
	f, err := s.decode(sh, p, m)
	return m.seq != 0 && (err != nil || f.live())
}

// meet holds the caller's expectation against what is there. Where that decides the piece's fate, it is done.
func (x *piece) meet(live bool, seq uint64) (r kvs.Result, done bool) {
	have := kvs.Revision(0)
	if live {
		have = kvs.Revision(seq)
	}
	switch {
	case x.want != kvs.AnyRevision && x.want != have:
		return kvs.Result{Err: kvs.Conflict(x.key, x.want, have)}, true
	case x.bury && !live:
		return kvs.Result{}, true
	}
	return r, false
}

// peek gives the last messages of subjects. Those that are not what is expected of them are as the leader has them.
func (s *Store) peek(ctx context.Context, sh *shard, expected map[string]uint64) (map[string]stored, error) {
	subjects := make([]string, 0, len(expected))
	for subject := range expected {
		subjects = append(subjects, subject)
	}
	there := make(map[string]stored, len(expected))
	_, err := s.lastOf(ctx, sh, subjects, 0, 0, func(subject string, m stored) { there[subject] = m })
	if err != nil || !sh.replicated.Load() {
		return there, err
	}
	var doubtful []string
	for _, subject := range subjects {
		if there[subject].seq != expected[subject] {
			doubtful = append(doubtful, subject)
		}
	}
	if len(doubtful) == 0 {
		doubtful = subjects // somebody knows better
	}
	return there, s.askLeader(ctx, sh, doubtful, there)
}

// storeAll stores the pieces in one batch, or fails with errExpectation and stores none.
func (s *Store) storeAll(ctx context.Context, sh *shard, pieces []*piece, f *fencing) error {
	body := make([]*nats.Msg, 0, len(pieces)+ownMessages)
	if f != nil {
		body = append(body, check(probeMessage(sh), f.subject, f.mark))
	}
	at := make([]int, len(pieces))
	for i, x := range pieces {
		if x.probe {
			at[i] = len(body)
			body = append(body, check(probeMessage(sh), x.subject, x.expect))
			continue
		}
		if x.messages() == 2 {
			body = append(body, s.markFor(sh, x))
		}
		at[i] = len(body)
		body = append(body, message(sh, x.subject, x.data, x.life, x.expect))
	}
	if err := sh.lane.enter(ctx); err != nil {
		return err
	}
	first, err := s.sendBatch(ctx, sh, body)
	sh.lane.leave()
	if err != nil {
		return err
	}
	for i, x := range pieces {
		if x.seq = first + uint64(at[i]); !x.probe {
			s.stored(sh, x)
			if f != nil {
				sh.claims.moved(f, x.slot, x.seq)
			}
		}
	}
	return nil
}

// markFor is the mark that goes before the piece's record.
func (s *Store) markFor(sh *shard, x *piece) *nats.Msg {
	if x.bury {
		return message(sh, x.subject+markDeleted, encodeMark(), s.buried()+slack, anyRev)
	}
	return message(sh, x.subject+markTimed, encodeMark(), 2*x.life+2*slack, anyRev)
}

// stored learns from a piece that was, and removes the chunks that it replaced.
func (s *Store) stored(sh *shard, x *piece) {
	fl, _ := sh.floors.get(x.subject)
	chunks := x.rec.chunks()
	sh.learn(x.subject, x.seq, x.bury, chunks)
	if x.timed {
		sh.floors.mark(x.subject, time.Now().Add(2*x.life+slack))
	}
	if fl.chunks != 0 && fl.chunks != chunks {
		s.removeChunks(sh, x.place, fl.chunks)
	}
}
