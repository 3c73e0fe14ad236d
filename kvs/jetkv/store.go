package jetkv

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/semaphore"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs"
)

// Store is a kvs.Store over JetStream. A write that returned is stored as safely as the servers' sync mode and the
// streams' replicas make it.
type Store struct {
	conn   *nats.Conn
	js     jetstream.JetStream
	cfg    Config
	shards []*shard
	inline int                                              // bytes of the longest payload that lies in its record, and of a chunk
	send   func(context.Context, *nats.Msg) (uint64, error) // publish; tests lose its answers

	mu     sync.RWMutex // guards closed against calls that begin, and ends
	closed bool
	ends   map[*context.CancelFunc]struct{} // of what runs until Close
	calls  sync.WaitGroup                   // calls, watches and background work

	background *semaphore.Weighted // bounds the removals of old chunks under way
}

// shard is one stream.
type shard struct {
	name       string
	stream     jetstream.Stream
	directGet  string // subject of direct reads, up to the key's subject
	leaderGet  string // subject of reads through the leader
	floors     *floors
	replicated atomic.Bool   // direct reads may be stale
	lastSeq    atomic.Uint64 // the last sequence that this Store has seen of the stream
	estimate   estimate
}

var _ kvs.Store = (*Store)(nil)

// Open opens the store of a namespace on the streams behind conn, and makes them if there are none. conn stays the
// caller's and must outlive the Store.
//
// Errors: invalid_argument where cfg does not fit itself or the streams that are there, unsupported where a later
// version of Squall made them, unavailable where JetStream does not answer. Nothing that is there is ever overwritten.
func Open(ctx context.Context, conn *nats.Conn, cfg Config) (*Store, error) {
	cfg, err := cfg.validate()
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, fault.From(err)
	}
	js, err := jetstream.New(conn)
	if err != nil {
		return nil, fault.New(fault.Internal, "open the store: %w", err)
	}
	s := &Store{conn: conn, js: js, cfg: cfg, ends: make(map[*context.CancelFunc]struct{}), background: semaphore.NewWeighted(maxRemovals)}
	if s.inline, err = inlineFor(conn.MaxPayload()); err != nil {
		return nil, err
	}
	s.send = s.publish
	if err := s.openStreams(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

func newShard(stream jetstream.Stream, name string) *shard {
	sh := &shard{
		name: name, stream: stream, floors: newFloors(floorsPerShard),
		directGet: "$JS.API.DIRECT.GET." + name + ".",
		leaderGet: "$JS.API.STREAM.MSG.GET." + name,
	}
	sh.replicated.Store(stream.CachedInfo().Config.Replicas > 1)
	return sh
}

// inlineFor leaves room for headers beside a payload: a key of 1 KiB and the subject are the largest.
func inlineFor(maxPayload int64) (int, error) {
	const room = 4 << 10
	n := min(maxPayload-room, maxInline)
	if n < 4<<10 {
		return 0, fault.New(fault.InvalidArgument, "the nats server takes messages of at most %d bytes: set max_payload to 64 KiB or more", maxPayload)
	}
	return int(n), nil
}

// shardOf is the stream that owns a slot.
func (s *Store) shardOf(p place) *shard { return s.shards[p.digit()*len(s.shards)/digits] }

func (s *Store) locate(key kvs.Key) place { return locate(s.cfg.Namespace, s.cfg.Space, key) }

// seen notes a sequence of the stream.
func (sh *shard) seen(seq uint64) {
	for {
		old := sh.lastSeq.Load()
		if seq <= old || sh.lastSeq.CompareAndSwap(old, seq) {
			return
		}
	}
}

// learn notes that the key at subject was seen at rev. One replica is never stale, so there only what is needed for
// cleaning up is kept.
func (sh *shard) learn(subject string, rev uint64, gone bool, chunks uint64) {
	sh.seen(rev)
	sh.floors.raise(subject, rev, gone, chunks, gone || chunks != 0 || sh.replicated.Load())
}

// begin admits a call; end must follow.
func (s *Store) begin(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fault.From(err)
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return fault.New(fault.Unavailable, "the store is closed")
	}
	s.calls.Add(1)
	return nil
}

func (s *Store) end() { s.calls.Done() }

// untilClose gives a context that Close ends too. The caller holds a call open, and cancels when it is done.
func (s *Store) untilClose(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		cancel()
		return ctx, cancel
	}
	end := &cancel
	s.ends[end] = struct{}{}
	return ctx, func() {
		cancel()
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.ends, end)
	}
}

// Close ends the watches, waits for calls under way and leaves the connection alone. Idempotent.
func (s *Store) Close() error {
	s.mu.Lock()
	s.closed = true
	for end := range s.ends {
		(*end)()
	}
	s.mu.Unlock()
	s.calls.Wait()
	return nil
}

// writeID makes the number that tells a write from all others.
func writeID() uint64 {
	for {
		if id := rand.Uint64(); id != 0 {
			return id
		}
	}
}
