package jetkv

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

// slack is added to lives that must outlast another message's: the servers look for expired messages every second or so.
const slack = 10 * time.Second

// anyRev as an expectation asks for nothing.
const anyRev = ^uint64(0)

// Put writes v whatever was there.
func (s *Store) Put(ctx context.Context, key kvs.Key, v value.Value, o kvs.PutOptions) (kvs.Revision, error) {
	return s.set(ctx, key, v, anyRev, o)
}

// CompareAndSet writes v if the key's revision is expect.
func (s *Store) CompareAndSet(ctx context.Context, key kvs.Key, v value.Value, expect kvs.Revision, o kvs.PutOptions) (kvs.Revision, error) {
	return s.set(ctx, key, v, uint64(expect), o)
}

func (s *Store) set(ctx context.Context, key kvs.Key, v value.Value, expect uint64, o kvs.PutOptions) (kvs.Revision, error) {
	if err := s.begin(ctx); err != nil {
		return 0, err
	}
	defer s.end()
	if err := key.Check(); err != nil {
		return 0, err
	}
	v, err := kvs.CheckValue(v)
	if err != nil {
		return 0, err
	}
	life, err := o.Lifetime()
	if err != nil {
		return 0, err
	}
	kind, payload, err := v.Payload()
	if err != nil {
		return 0, fault.From(err)
	}
	p := s.locate(key)
	rec := &record{typ: typeValue, header: header{Kind: uint8(kind), Size: uint64(len(payload)), Write: writeID(), TTL: uint64(life / time.Second)}}
	if p.hashed {
		rec.Key = []byte(key)
	}
	if len(payload) <= s.inline {
		rec.payload = payload
		rev, err := s.commit(ctx, p, key, rec, expect, life)
		return kvs.Revision(rev), err
	}
	rev, err := s.setChunked(ctx, p, key, rec, payload, expect, life)
	return kvs.Revision(rev), err
}

// commit stores the record of a value, with the mark beside it that a TTL needs, and removes what it replaced.
func (s *Store) commit(ctx context.Context, p place, key kvs.Key, rec *record, expect uint64, life time.Duration) (uint64, error) {
	data, err := rec.encode()
	if err != nil {
		return 0, err
	}
	sh := s.shardOf(p)
	fl, _ := sh.floors.get(p.subject)
	if life > 0 {
		if err := s.markTimed(ctx, sh, p, fl, life); err != nil {
			return 0, err
		}
	}
	w := write{what: "put", sh: sh, p: p, key: key, data: data, id: rec.Write, life: life, expect: expect}
	if expect != 0 && expect != anyRev && fl.gone && fl.rev == expect {
		return 0, kvs.Conflict(key, kvs.Revision(expect), 0) // a revision that Watch gave to a delete
	}
	if expect == 0 && fl.gone {
		w.expect = fl.rev // probably a tombstone
	}
	rev, err := s.store(ctx, w)
	if errors.Is(err, errExpectation) {
		if expect != 0 {
			return 0, s.conflict(ctx, w)
		}
		rev, err = s.create(ctx, w)
	}
	if err != nil {
		return 0, err
	}
	sh.learn(p.subject, rev, false, rec.chunks())
	if fl.chunks != 0 {
		s.removeChunks(sh, p, fl.chunks)
	}
	return rev, nil
}

// create stores w where there may be a tombstone, which to JetStream is a message like any other.
func (s *Store) create(ctx context.Context, w write) (uint64, error) {
	for {
		f, err := s.readLeader(ctx, w.p)
		if err != nil {
			return 0, err
		}
		if f.live() {
			return 0, kvs.Conflict(w.key, 0, kvs.Revision(f.seq))
		}
		w.expect = f.seq
		rev, err := s.store(ctx, w)
		if !errors.Is(err, errExpectation) {
			return rev, err
		}
		// Somebody wrote in between, or the tombstone has just expired: look again.
	}
}

// Delete removes the key. What stays is a tombstone, so that watchers hear of it, which removes itself.
func (s *Store) Delete(ctx context.Context, key kvs.Key, expect kvs.Revision) error {
	if err := s.begin(ctx); err != nil {
		return err
	}
	defer s.end()
	if err := key.Check(); err != nil {
		return err
	}
	p := s.locate(key)
	sh := s.shardOf(p)
	for {
		// The leader is asked: a stale "not there" would leave a key alive that was to be deleted.
		f, err := s.readLeader(ctx, p)
		if err != nil && !isCorrupt(err) {
			return err
		}
		if err == nil && !f.live() {
			if expect != 0 {
				return kvs.Conflict(key, expect, 0)
			}
			return nil
		}
		if err != nil { // a record that cannot be read can still be deleted
			m, err := s.getLeader(ctx, sh, p.subject)
			if err != nil {
				return err
			}
			f = found{stored: m, rec: &record{}}
		}
		if expect != 0 && f.seq != uint64(expect) {
			return kvs.Conflict(key, expect, kvs.Revision(f.seq))
		}
		err = s.bury(ctx, sh, p, key, f.seq)
		if err == nil && f.rec.chunks() != 0 {
			s.removeChunks(sh, p, f.rec.chunks())
		}
		if !errors.Is(err, errExpectation) {
			return err
		}
		// Somebody wrote in between: look again.
	}
}

// bury replaces the key's record at revision rev by a tombstone.
func (s *Store) bury(ctx context.Context, sh *shard, p place, key kvs.Key, rev uint64) error {
	rec := &record{typ: typeTombstone, header: header{Write: writeID()}}
	if p.hashed {
		rec.Key = []byte(key)
	}
	data, err := rec.encode()
	if err != nil {
		return err
	}
	// The mark comes first and stays longer, so that whoever lists and sees the tombstone sees the mark too.
	life := ceilSecond(s.cfg.DeleteMarkers)
	if err := s.mark(ctx, sh, p, markDeleted, life+slack); err != nil {
		return err
	}
	seq, err := s.store(ctx, write{what: "delete", sh: sh, p: p, key: key, data: data, id: rec.Write, life: life, expect: rev})
	if err == nil {
		sh.learn(p.subject, seq, true, 0)
	}
	return err
}

func ceilSecond(d time.Duration) time.Duration {
	return (d + time.Second - 1).Truncate(time.Second)
}

// markTimed makes sure that the key's mark of having a TTL outlasts it. The mark gets twice the life, so that a lease
// that is renewed needs no new one every time.
func (s *Store) markTimed(ctx context.Context, sh *shard, p place, fl floor, life time.Duration) error {
	now := time.Now()
	if fl.timed.After(now.Add(life + slack)) {
		return nil
	}
	if err := s.mark(ctx, sh, p, markTimed, 2*life+2*slack); err != nil {
		return err
	}
	sh.floors.mark(p.subject, now.Add(2*life+2*slack))
	return nil
}

// mark stores a mark beside the key.
func (s *Store) mark(ctx context.Context, sh *shard, p place, mark string, life time.Duration) error {
	m := message(sh, p.subject+mark, encodeMark(), life, anyRev)
	return s.retry(ctx, "put", func(ctx context.Context) error {
		_, err := s.publish(ctx, m)
		return err
	})
}

func message(sh *shard, subject string, data []byte, life time.Duration, expect uint64) *nats.Msg {
	h := nats.Header{jetstream.ExpectedStreamHeader: []string{sh.name}}
	if expect != anyRev {
		h[jetstream.ExpectedLastSubjSeqHeader] = []string{strconv.FormatUint(expect, 10)}
	}
	if life > 0 {
		h[jetstream.MsgTTLHeader] = []string{strconv.FormatInt(int64(life/time.Second), 10)}
	}
	return &nats.Msg{Subject: subject, Header: h, Data: data}
}

// write is the write of one record.
type write struct {
	what   string
	sh     *shard
	p      place
	key    kvs.Key
	data   []byte
	id     uint64 // the record's Write
	life   time.Duration
	expect uint64 // sequence, 0 for none there, anyRev
}

// errExpectation says that something else than w.expect is there, and that w was not stored.
var errExpectation = errors.New("another sequence than expected")

// store stores w exactly once, or fails with errExpectation, or says that it cannot tell.
//
// An attempt that nobody answered may have been stored, and may even be stored later. So the next one looks first whose
// record is there, and is itself bound to what it saw: of two attempts, one at most can succeed.
func (s *Store) store(ctx context.Context, w write) (uint64, error) {
	t := s.try(w.what)
	before := w.sh.lastSeq.Load() // what is newer was written after this call began, or by somebody unknown to us
	expect := w.expect
	maybe := false // an earlier attempt may have succeeded
	for {
		var seq uint64
		err := t.once(ctx, func(ctx context.Context) (err error) {
			seq, err = s.send(ctx, message(w.sh, w.p.subject, w.data, w.life, expect))
			return err
		})
		switch judge(err) {
		case answered:
			w.sh.seen(seq)
			return seq, nil
		case refused:
			if maybe {
				return 0, outcomeUnknown(ctx, w, err)
			}
			return 0, t.fail(ctx, err)
		case wrongSeq:
			if !maybe {
				return 0, errExpectation
			}
		case unknown:
			maybe = true
		}
		if maybe {
			m, rerr := s.getLeader(ctx, w.sh, w.p.subject)
			if rerr != nil {
				return 0, outcomeUnknown(ctx, w, err)
			}
			if rec, err := decodeRecord(m.data); m.seq != 0 && err == nil && rec.Write == w.id {
				w.sh.seen(m.seq)
				return m.seq, nil
			}
			switch {
			case w.expect != anyRev && m.seq == w.expect: // nothing happened yet
			case w.expect == anyRev && m.seq <= before:
				expect = m.seq
			default: // somebody else's write stands there, perhaps over ours
				return 0, outcomeUnknown(ctx, w, err)
			}
		}
		if ferr := t.again(ctx, err); ferr != nil {
			if maybe {
				return 0, outcomeUnknown(ctx, w, ferr)
			}
			return 0, ferr
		}
	}
}

// conflict says what stands there instead of what w expected.
func (s *Store) conflict(ctx context.Context, w write) error {
	have := kvs.Revision(0)
	if f, err := s.readLeader(ctx, w.p); err == nil && f.live() {
		have = kvs.Revision(f.seq)
	}
	return kvs.Conflict(w.key, kvs.Revision(w.expect), have)
}

func outcomeUnknown(ctx context.Context, w write, err error) error {
	if ctx.Err() != nil {
		return fault.New(fault.CodeOf(ctx.Err()), "%s of key %.64q was not confirmed; it may have been stored: read it before you try again: %w", w.what, string(w.key), err)
	}
	return unavailable("%s of key %.64q was not confirmed; it may have been stored: read it before you try again: %w", w.what, string(w.key), err)
}

// isCorrupt reports whether err came from corrupt.
func isCorrupt(err error) bool {
	var f *fault.Error
	return errors.As(err, &f) && f.Code == fault.Unavailable && f.Final
}
