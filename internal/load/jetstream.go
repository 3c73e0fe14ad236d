package load

import (
	"context"
	"errors"
	"regexp"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/ycsb"
)

// JetStream is a key-value bucket of JetStream, through nats.go alone: what Squall's keys are compared with. A write gets
// the revision that is there and updates that, again where another writer was faster, as Squall does where it merges; with
// Blind it just puts.
type JetStream struct {
	URL                   string
	CredsFile, NKeyFile   string
	User, Password, Token string
	Replicas              int    // 0 is 1
	Durability            string // what the servers were set up for, for reports
	Blind                 bool
	conns                 []*nats.Conn
	bucket                jetstream.KeyValue
}

// bucketName is the bucket that it makes, and leaves.
const bucketName = "YCSB"

// natsKey is what a bucket takes as a key.
var natsKey = regexp.MustCompile(`^[-/_=\.a-zA-Z0-9]+$`)

// Open implements Target.
func (j *JetStream) Open(ctx context.Context, w *ycsb.Workload, _ int) error {
	if err := refuseRuns(w, j.name()); err != nil {
		return err
	}
	if !natsKey.MatchString(w.Key(0)) {
		return fault.New(fault.InvalidArgument, "a bucket of JetStream takes no key %q: write a table and keyprefix of letters and digits", w.Key(0))
	}
	opts := []nats.Option{nats.Name("squall-bench"), nats.MaxReconnects(-1)}
	switch {
	case j.CredsFile != "":
		opts = append(opts, nats.UserCredentials(j.CredsFile))
	case j.NKeyFile != "":
		o, err := nats.NkeyOptionFromSeed(j.NKeyFile)
		if err != nil {
			return fault.New(fault.Unauthorized, "nkey: %w", err)
		}
		opts = append(opts, o)
	case j.User != "":
		opts = append(opts, nats.UserInfo(j.User, j.Password))
	case j.Token != "":
		opts = append(opts, nats.Token(j.Token))
	}
	url := j.URL
	if url == "" {
		url = nats.DefaultURL
	}
	nc, err := nats.Connect(url, opts...)
	switch {
	case errors.Is(err, nats.ErrAuthorization):
		return fault.New(fault.Unauthorized, "nats at %s: %w: give other credentials", url, err)
	case err != nil:
		return fault.New(fault.Unreachable, "nats at %s: %w: start one there, or name its address with --server", url, err)
	}
	j.conns = append(j.conns, nc)
	js, err := jetstream.New(nc)
	if err != nil {
		return fault.New(fault.Internal, "jetstream: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, callWait)
	defer cancel()
	j.bucket, err = js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: bucketName, Storage: jetstream.FileStorage, Replicas: max(j.Replicas, 1), History: 1})
	if err != nil {
		return fault.New(fault.Unavailable, "make bucket %s: %w", bucketName, err)
	}
	return nil
}

// Worker implements Target.
func (j *JetStream) Worker(context.Context, int) (Worker, error) { return bounded{each(j.do)}, nil }

func (j *JetStream) do(ctx context.Context, op *Op) error {
	switch op.Kind {
	case ycsb.Read:
		_, err := j.get(ctx, op, op.Key)
		return err
	case ycsb.Scan:
		for _, key := range op.Keys {
			if _, err := j.get(ctx, op, key); err != nil {
				return err
			}
		}
		return nil
	case ycsb.ReadModifyWrite:
		revision, err := j.get(ctx, op, op.Key)
		switch {
		case err != nil:
			return err
		case j.Blind:
			return j.put(ctx, op)
		}
		return j.update(ctx, op.Key, revision, func([]byte) ([]byte, error) { return op.Value, nil })
	case ycsb.Count:
		return j.increment(ctx, op.Key)
	}
	if j.Blind {
		return j.put(ctx, op)
	}
	e, err := j.entry(ctx, op.Key)
	if err != nil {
		return err
	}
	return j.update(ctx, op.Key, revisionOf(e), func([]byte) ([]byte, error) { return op.Value, nil })
}

// entry reads a key; nil where there is none.
func (j *JetStream) entry(ctx context.Context, key string) (jetstream.KeyValueEntry, error) {
	e, err := j.bucket.Get(ctx, key)
	switch {
	case errors.Is(err, jetstream.ErrKeyNotFound):
		return nil, nil
	case err != nil:
		return nil, natsFault(err)
	}
	return e, nil
}

func revisionOf(e jetstream.KeyValueEntry) uint64 {
	if e == nil {
		return 0
	}
	return e.Revision()
}

func (j *JetStream) get(ctx context.Context, op *Op, key string) (revision uint64, err error) {
	e, err := j.entry(ctx, key)
	if err != nil {
		return 0, err
	}
	if e == nil {
		op.read(nil)
		return 0, nil
	}
	op.read(e.Value())
	return e.Revision(), nil
}

func (j *JetStream) put(ctx context.Context, op *Op) error {
	_, err := j.bucket.Put(ctx, op.Key, op.Value)
	return natsFault(err)
}

// update writes what change makes of what is there, expecting a revision; where another writer was faster, it reads again.
func (j *JetStream) update(ctx context.Context, key string, revision uint64, change func([]byte) ([]byte, error)) error {
	var now []byte
	for {
		next, err := change(now)
		if err != nil {
			return err
		}
		_, err = j.bucket.Update(ctx, key, next, revision)
		var api *jetstream.APIError
		if !errors.As(err, &api) || api.ErrorCode != jetstream.JSErrCodeStreamWrongLastSequence {
			return natsFault(err)
		}
		e, err := j.entry(ctx, key)
		if err != nil {
			return err
		}
		now, revision = nil, revisionOf(e)
		if e != nil {
			now = e.Value()
		}
	}
}

func (j *JetStream) increment(ctx context.Context, key string) error {
	return j.update(ctx, key, 0, func(now []byte) ([]byte, error) {
		n, err := number64(now)
		return strconv.AppendInt(nil, n+1, 10), err
	})
}

func number64(b []byte) (int64, error) {
	if len(b) == 0 {
		return 0, nil
	}
	n, err := strconv.ParseInt(string(b), 10, 64)
	if err != nil {
		return 0, fault.New(fault.WrongType, "a counter holds no number: %w", err)
	}
	return n, nil
}

func natsFault(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return fault.From(err)
	case errors.Is(err, nats.ErrNoResponders), errors.Is(err, nats.ErrDisconnected), errors.Is(err, jetstream.ErrNoStreamResponse):
		return fault.New(fault.Unreachable, "jetstream: %w", err)
	}
	return fault.New(fault.Unavailable, "jetstream: %w", err)
}

// Stored implements Target.
func (j *JetStream) Stored(ctx context.Context, keys []string) ([][]byte, error) {
	var op Op
	for _, key := range keys {
		if _, err := j.get(ctx, &op, key); err != nil {
			return nil, err
		}
	}
	return op.Data, nil
}

// Counter implements Target.
func (j *JetStream) Counter(ctx context.Context, key string) (int64, error) {
	e, err := j.entry(ctx, key)
	if err != nil || e == nil {
		return 0, err
	}
	return number64(e.Value())
}

func (j *JetStream) name() string {
	if j.Blind {
		return "jetstream-blind"
	}
	return "jetstream"
}

// Traits implements Target.
func (j *JetStream) Traits() Traits { return Traits{Name: j.name(), Durability: j.Durability} }

// Close implements Target.
func (j *JetStream) Close() error {
	for _, nc := range j.conns {
		nc.Close()
	}
	j.conns = nil
	return nil
}
