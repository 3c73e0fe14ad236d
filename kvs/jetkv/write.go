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
	return s.CompareAndSet(ctx, key, v, kvs.AnyRevision, o)
}

// CompareAndSet writes v if the key's revision is expect.
func (s *Store) CompareAndSet(ctx context.Context, key kvs.Key, v value.Value, expect kvs.Revision, o kvs.PutOptions) (kvs.Revision, error) {
	if err := s.begin(ctx); err != nil {
		return 0, err
	}
	defer s.end()
	w, life, err := kvs.Write{Key: key, Value: v, Options: o, Expect: expect}.Check()
	if err != nil {
		return 0, err
	}
	return s.set(ctx, w, life)
}

// set carries out one write of a value that was checked.
func (s *Store) set(ctx context.Context, w kvs.Write, life time.Duration) (kvs.Revision, error) {
	p := s.locate(w.Key)
	rec, payload, err := newRecord(p, w, life)
	if err != nil {
		return 0, err
	}
	begin := time.Now()
	if !s.fits(rec, payload, s.inline) {
		// One look before megabytes are sent: at what would be in vain, and at which chunks will be replaced.
		if err := s.lookAhead(ctx, p, w.Key, w.Expect); err != nil {
			return 0, err
		}
		if err := s.putChunks(ctx, p, rec, payload, life); err != nil {
			return 0, err
		}
	} else {
		rec.payload = payload
	}
	rev, err := s.setRecord(ctx, p, w.Key, rec, uint64(w.Expect), life, begin)
	if rec.Part != 0 && fault.Is(err, fault.Conflict) {
		s.removeChunks(s.shardOf(p), p, rec.Write) // else it may have been stored; if not, Sweep finds them
	}
	return kvs.Revision(rev), err
}

// newRecord is the record of w, its payload apart.
func newRecord(p place, w kvs.Write, life time.Duration) (rec *record, payload []byte, err error) {
	rec = &record{typ: typeValue, header: header{Write: writeID(), Meta: w.Options.Meta, TTL: uint64(life / time.Second)}}
	if p.hashed {
		rec.Key = []byte(w.Key)
	}
	if w.Delete {
		rec.typ = typeTombstone
		return rec, nil, nil
	}
	kind, payload, err := w.Value.Payload()
	if err != nil {
		return nil, nil, fault.From(err)
	}
	rec.Kind, rec.Size = uint8(kind), uint64(len(payload))
	return rec, payload, nil
}

// fits reports whether the payload lies in its record, up to limit bytes of it.
func (s *Store) fits(rec *record, payload []byte, limit int) bool {
	return len(payload) <= limit && len(payload)+len(rec.Meta) <= s.most
}

// encode gives the message of a record. A server may be set up for messages so short that the list of a long value's
// chunks is one too many.
func (s *Store) encode(key kvs.Key, rec *record) ([]byte, error) {
	data, err := rec.encode()
	if err == nil && len(data) > s.most+maxEnvelope/2 {
		err = fault.New(fault.TooLarge, "the value of key %.64q needs a record of %d bytes, and the nats server takes messages of %d: raise its max_payload to 1 MiB",
			string(key), len(data), s.conn.MaxPayload())
	}
	return data, err
}

// setRecord stores the record of a value, with the mark beside it that a TTL needs, and removes what it replaced.
func (s *Store) setRecord(ctx context.Context, p place, key kvs.Key, rec *record, expect uint64, life time.Duration, begin time.Time) (uint64, error) {
	data, err := s.encode(key, rec)
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
	if err := s.inTime(key, rec, begin); err != nil {
		return 0, err
	}
	w := write{what: "put", sh: sh, p: p, key: key, data: data, id: rec.Write, life: life, expect: expect}
	if expect != 0 && expect != anyRev && fl.buried && fl.rev == expect {
		return 0, kvs.Conflict(key, kvs.Revision(expect), 0) // a revision that Watch gave to a delete
	}
	if expect == 0 && fl.buried {
		w.expect = fl.rev // a tombstone, if it is still there
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
	if expect == 0 {
		expect = kvs.AnyRevision
	}
	w, _, err := kvs.Write{Key: key, Delete: true, Expect: expect}.Check()
	if err != nil {
		return err
	}
	_, err = s.remove(ctx, w)
	return err
}

// remove carries out one delete that was checked. The revision is 0 where nothing was there.
func (s *Store) remove(ctx context.Context, w kvs.Write) (kvs.Revision, error) {
	p := s.locate(w.Key)
	sh := s.shardOf(p)
	for {
		// The leader is asked: a stale "not there" would leave a key alive that was to be deleted.
		f, err := s.readLeader(ctx, p)
		if err != nil && !isCorrupt(err) {
			return 0, err
		}
		if err == nil && !f.live() {
			if w.Expect != 0 && w.Expect != kvs.AnyRevision {
				return 0, kvs.Conflict(w.Key, w.Expect, 0)
			}
			return 0, nil
		}
		if err != nil { // a record that cannot be read can still be deleted
			m, err := s.getLeader(ctx, sh, p.subject)
			if err != nil {
				return 0, err
			}
			f = found{stored: m, rec: &record{}}
		}
		if w.Expect != kvs.AnyRevision && f.seq != uint64(w.Expect) {
			return 0, kvs.Conflict(w.Key, w.Expect, kvs.Revision(f.seq))
		}
		rev, err := s.bury(ctx, sh, p, w, f.seq)
		if err == nil && f.rec.chunks() != 0 {
			s.removeChunks(sh, p, f.rec.chunks())
		}
		if !errors.Is(err, errExpectation) {
			return kvs.Revision(rev), err
		}
		// Somebody wrote in between: look again.
	}
}

// bury replaces the key's record at revision rev by a tombstone.
func (s *Store) bury(ctx context.Context, sh *shard, p place, w kvs.Write, rev uint64) (uint64, error) {
	rec, _, err := newRecord(p, w, 0)
	if err != nil {
		return 0, err
	}
	data, err := s.encode(w.Key, rec)
	if err != nil {
		return 0, err
	}
	// The mark comes first and stays longer, so that whoever lists and sees the tombstone sees the mark too.
	if err := s.mark(ctx, sh, p, markDeleted, s.buried()+slack); err != nil {
		return 0, err
	}
	seq, err := s.store(ctx, write{what: "delete", sh: sh, p: p, key: w.Key, data: data, id: rec.Write, life: s.buried(), expect: rev})
	if err == nil {
		sh.learn(p.subject, seq, true, 0)
	}
	return seq, err
}

// buried is how long a tombstone lives.
func (s *Store) buried() time.Duration { return ceilSecond(s.cfg.DeleteMarkers) }

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
		case busy:
			if !maybe {
				if ferr := t.soon(ctx, err); ferr != nil {
					return 0, ferr
				}
				continue
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
