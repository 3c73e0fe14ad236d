package jetkv

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs"
)

// stored is the last message of a subject; seq 0 means that there is none.
type stored struct {
	seq  uint64
	at   time.Time
	data []byte
}

// found is what is stored under a key: the record, or nil if there is none.
type found struct {
	stored
	rec *record
}

// live reports whether the key has a value.
func (f found) live() bool { return f.rec != nil && f.rec.typ == typeValue }

// Get returns the current entry.
func (s *Store) Get(ctx context.Context, key kvs.Key) (kvs.Entry, error) {
	if err := s.begin(ctx); err != nil {
		return kvs.Entry{}, err
	}
	defer s.end()
	if err := key.Check(); err != nil {
		return kvs.Entry{}, err
	}
	p := s.locate(key)
	f, err := s.read(ctx, p)
	if err != nil {
		return kvs.Entry{}, err
	}
	e, err := s.settle(ctx, p, key, f)
	if err == nil && (e.Revision == 0 || e.Deleted) {
		err = fault.New(fault.NotFound, "there is no value under key %.64q: put one first, or correct the key", string(key))
	}
	if err != nil {
		return kvs.Entry{}, err
	}
	return e, nil
}

// settle gives the entry of what was found at p, or of what has replaced it if its chunks are gone meanwhile.
func (s *Store) settle(ctx context.Context, p place, key kvs.Key, f found) (kvs.Entry, error) {
	for {
		e, err := s.entry(ctx, p, key, f)
		if !errors.Is(err, errChunkGone) {
			return e, err
		}
		// The value was replaced while its chunks were read: read the new one. Each turn needs another overwrite.
		again, err := s.readLeader(ctx, p)
		if err != nil {
			return kvs.Entry{}, err
		}
		if again.seq == f.seq {
			return kvs.Entry{}, corrupt("a chunk of key %.64q is missing", string(key))
		}
		f = again
	}
}

// holds reports whether the record is key's own, and not that of another key with the same hash.
func (f found) holds(p place, key kvs.Key) bool { return !p.hashed || string(f.rec.Key) == string(key) }

// entry builds the entry, reading the chunks if there are any. One without a revision is of a key that is not there.
func (s *Store) entry(ctx context.Context, p place, key kvs.Key, f found) (kvs.Entry, error) {
	if f.rec == nil || !f.holds(p, key) {
		return kvs.Entry{Key: key}, nil
	}
	e := f.about(key)
	if e.Deleted {
		return e, nil
	}
	payload := f.rec.payload
	var err error
	if f.rec.Part != 0 {
		if payload, err = s.readChunks(ctx, p, f.rec); err != nil {
			return kvs.Entry{}, err
		}
	}
	if e.Value, err = f.rec.value(payload); err != nil {
		return kvs.Entry{}, err
	}
	return e, nil
}

// about is the entry without its value.
func (f found) about(key kvs.Key) kvs.Entry {
	e := kvs.Entry{Key: key, Revision: kvs.Revision(f.seq), Written: f.at, Meta: f.rec.Meta, Deleted: !f.live()}
	if f.rec.TTL != 0 {
		e.Expires = f.at.Add(time.Duration(f.rec.TTL) * time.Second)
	}
	return e
}

// read gives what is stored at p: from any replica if that is no older than what this Store has seen, else from the
// leader. That a replica has nothing does not count where this Store has seen nothing either: it may lag, and who was told
// of a key by another node would not find it.
func (s *Store) read(ctx context.Context, p place) (found, error) {
	sh := s.shardOf(p)
	var fl floor
	direct := true
	if sh.replicated.Load() {
		fl, direct = sh.floors.get(p.subject)
	}
	if direct {
		m, err := s.getDirect(ctx, sh, p.subject)
		// Any error sends us to the leader, which is asked with patience.
		if err == nil && (m.seq >= fl.rev && m.seq != 0 || m.seq == 0 && (!sh.replicated.Load() || fl.gone)) {
			return s.decode(sh, p, m)
		}
	}
	return s.readLeader(ctx, p)
}

// readLeader gives what is stored at p as the stream's leader has it.
func (s *Store) readLeader(ctx context.Context, p place) (found, error) {
	sh := s.shardOf(p)
	before, _ := sh.floors.get(p.subject)
	m, err := s.getLeader(ctx, sh, p.subject)
	if err != nil {
		return found{}, err
	}
	if m.seq == 0 && sh.replicated.Load() && before.rev != 0 {
		sh.floors.absent(p.subject, before.rev)
	}
	return s.decode(sh, p, m)
}

func (s *Store) decode(sh *shard, p place, m stored) (found, error) {
	if m.seq == 0 {
		return found{}, nil
	}
	rec, err := decodeRecord(m.data)
	if err != nil {
		return found{}, err
	}
	f := found{stored: m, rec: rec}
	sh.learn(p.subject, m.seq, rec.typ == typeTombstone, rec.chunks())
	return f, nil
}

// chunks is the write whose chunks hold the payload, or 0.
func (r *record) chunks() uint64 {
	if r.Part == 0 {
		return 0
	}
	return r.Write
}

// getDirect asks any replica, once.
func (s *Store) getDirect(ctx context.Context, sh *shard, subject string) (stored, error) {
	var reply *nats.Msg
	err := s.try("read").once(ctx, func(ctx context.Context) (err error) {
		reply, err = s.conn.RequestWithContext(ctx, sh.directGet+"."+subject, nil)
		return err
	})
	if err != nil {
		return stored{}, err
	}
	switch status := reply.Header.Get("Status"); status {
	case "":
	case "404":
		return stored{}, nil
	default:
		return stored{}, unavailable("read: jetstream answers %s %s", status, reply.Header.Get("Description"))
	}
	return readDirect(reply)
}

// getLeader asks the stream's leader.
func (s *Store) getLeader(ctx context.Context, sh *shard, subject string) (stored, error) {
	request, err := json.Marshal(map[string]string{"last_by_subj": subject})
	if err != nil {
		return stored{}, fault.New(fault.Internal, "encode a read: %w", err)
	}
	var answer struct {
		Error   *jetstream.APIError `json:"error"`
		Message *struct {
			Seq  uint64    `json:"seq"`
			Data []byte    `json:"data"`
			Time time.Time `json:"time"`
		} `json:"message"`
	}
	err = s.retry(ctx, "read", func(ctx context.Context) error {
		reply, err := s.conn.RequestWithContext(ctx, sh.leaderGet, request)
		if err != nil {
			return err
		}
		answer.Error, answer.Message = nil, nil
		if err := json.Unmarshal(reply.Data, &answer); err != nil {
			return fault.New(fault.Internal, "an answer from jetstream that is not one: %w", err)
		}
		if answer.Error != nil && int(answer.Error.ErrorCode) != errNoMessage {
			return answer.Error
		}
		return nil
	})
	if err != nil || answer.Message == nil {
		return stored{}, err
	}
	return stored{seq: answer.Message.Seq, at: answer.Message.Time, data: answer.Message.Data}, nil
}
