package load

import (
	"context"
	"errors"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/resp"
	"github.com/squall-faas/squall/internal/ycsb"
)

// callWait bounds a call of a target, so that one that hangs becomes an error.
const callWait = 10 * time.Second

// Redis is a Redis server, a connection for each worker. The operations of one call are pipelined.
type Redis struct {
	Address    string // host:port
	Durability string // what the server was set up for, for reports, where it does not say so itself

	mu    sync.Mutex
	conns []*resp.Conn
	extra *resp.Conn // for what is read back
}

// Open implements Target.
func (r *Redis) Open(ctx context.Context, w *ycsb.Workload, _ int) error {
	if err := refuseRuns(w, "redis"); err != nil {
		return err
	}
	var err error
	r.extra, err = r.dial(context.WithoutCancel(ctx)) // what an interrupted run wrote may still be read
	if err != nil {
		return err
	}
	return r.look()
}

// look has the server say what it promises of what it acknowledges, so that no report claims more.
func (r *Redis) look() error {
	said := map[string]string{}
	for _, name := range []string{"appendonly", "appendfsync"} {
		r.extra.Reset()
		r.extra.Send([]byte("CONFIG"), []byte("GET"), []byte(name))
		if err := r.extra.Flush(); err != nil {
			return err
		}
		var pair []string
		err := r.extra.ReceiveArray(func(b []byte) { pair = append(pair, string(b)) })
		switch {
		case errors.As(err, new(resp.Refusal)): // it keeps its settings to itself
			return nil
		case err != nil:
			return err
		case len(pair) == 2:
			said[name] = pair[1]
		}
	}
	switch {
	case said["appendonly"] == "no":
		r.Durability = "memory"
	case said["appendonly"] == "yes" && said["appendfsync"] != "":
		r.Durability = "fsync-" + said["appendfsync"]
	}
	return nil
}

func (r *Redis) dial(ctx context.Context) (*resp.Conn, error) {
	c, err := resp.Dial(ctx, r.Address, callWait)
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() { _ = c.Close() }) // ends what waits
	r.mu.Lock()
	defer r.mu.Unlock()
	r.conns = append(r.conns, c)
	return c, nil
}

// Worker implements Target.
func (r *Redis) Worker(ctx context.Context, _ int) (Worker, error) {
	c, err := r.dial(ctx)
	if err != nil {
		return nil, err
	}
	return &redisWorker{r: r, conn: c}, nil
}

// Stored implements Target.
func (r *Redis) Stored(_ context.Context, keys []string) ([][]byte, error) {
	words := [][]byte{[]byte("MGET")}
	for _, k := range keys {
		words = append(words, []byte(k))
	}
	r.extra.Reset()
	r.extra.Send(words...)
	if err := r.extra.Flush(); err != nil {
		return nil, err
	}
	var out [][]byte
	err := r.extra.ReceiveArray(func(b []byte) { out = append(out, b) })
	if err == nil && len(out) != len(keys) {
		err = fault.New(fault.Internal, "redis answered %d keys with %d values", len(keys), len(out))
	}
	return out, err
}

// Counter implements Target.
func (r *Redis) Counter(_ context.Context, key string) (int64, error) {
	b, err := r.extra.Do([]byte("GET"), []byte(key))
	if err != nil || b == nil {
		return 0, err
	}
	n, err := strconv.ParseInt(string(b), 10, 64)
	if err != nil {
		return 0, fault.New(fault.WrongType, "key %s holds no number: %w", key, err)
	}
	return n, nil
}

// Traits implements Target.
func (r *Redis) Traits() Traits { return Traits{Name: "redis", Durability: r.Durability} }

// Close implements Target.
func (r *Redis) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var errs []error
	for _, c := range r.conns {
		if err := c.Close(); !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	r.conns = nil
	return errors.Join(errs...)
}

type redisWorker struct {
	r     *Redis
	conn  *resp.Conn // nil after it was lost
	words [][]byte
	key   []byte
}

var (
	wordGet  = []byte("GET")
	wordSet  = []byte("SET")
	wordMGet = []byte("MGET")
	wordIncr = []byte("INCR")
)

// Do implements Worker. What reads and then writes takes two trips.
func (w *redisWorker) Do(ctx context.Context, ops []Op) error {
	if w.conn == nil {
		c, err := w.r.dial(ctx)
		if err != nil {
			return err
		}
		w.conn = c
	}
	w.conn.Reset()
	err := w.trip(ops, w.send, w.receive)
	if err == nil {
		err = w.trip(ops, w.writeBack, w.writtenBack)
	}
	if err != nil {
		_ = w.conn.Close() // what else it would say belongs to nobody
		w.conn = nil
	}
	return err
}

// trip sends what send does of each operation, and receives the answers. A refusal is its operation's error; any other one
// is the connection's.
func (w *redisWorker) trip(ops []Op, send func(*Op) bool, receive func(*Op) error) error {
	sent := false
	for i := range ops {
		sent = send(&ops[i]) || sent
	}
	if !sent {
		return nil
	}
	if err := w.conn.Flush(); err != nil {
		return err
	}
	for i := range ops {
		if err := receive(&ops[i]); errors.As(err, new(resp.Refusal)) {
			ops[i].Err = err
		} else if err != nil {
			return err
		}
	}
	return nil
}

func (w *redisWorker) send(op *Op) bool {
	w.key = append(w.key[:0], op.Key...)
	switch op.Kind {
	case ycsb.Read, ycsb.ReadModifyWrite:
		w.conn.Send(wordGet, w.key)
	case ycsb.Scan:
		w.words = append(w.words[:0], wordMGet)
		for _, k := range op.Keys {
			w.words = append(w.words, []byte(k))
		}
		w.conn.Send(w.words...)
	case ycsb.Count:
		w.conn.Send(wordIncr, w.key)
	default:
		w.conn.Send(wordSet, w.key, op.Value)
	}
	return true
}

func (w *redisWorker) receive(op *Op) error {
	if op.Kind == ycsb.Scan {
		return w.conn.ReceiveArray(op.read)
	}
	b, err := w.conn.Receive()
	if err == nil && reads(op.Kind) {
		op.read(b)
	}
	return err
}

// halfDone reports whether an operation has read and is to write yet.
func halfDone(op *Op) bool { return op.Kind == ycsb.ReadModifyWrite && op.Err == nil }

func (w *redisWorker) writtenBack(op *Op) (err error) {
	if halfDone(op) {
		_, err = w.conn.Receive()
	}
	return err
}

// writeBack sends the second half of a read-modify-write.
func (w *redisWorker) writeBack(op *Op) bool {
	if !halfDone(op) {
		return false
	}
	w.key = append(w.key[:0], op.Key...)
	w.conn.Send(wordSet, w.key, op.Value)
	return true
}
