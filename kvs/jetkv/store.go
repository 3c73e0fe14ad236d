package jetkv

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/semaphore"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/id"
	"github.com/squall-faas/squall/kvs"
)

// Store is a kvs.Store over JetStream. A write that returned is stored as safely as the servers' sync mode and the
// streams' replicas make it.
type Store struct {
	id     string // tells this Store's own subjects from those of others
	conn   *nats.Conn
	js     jetstream.JetStream
	cfg    Config
	shards []*shard
	inline int // bytes of the longest payload that lies in its record, and of a chunk
	most   int // bytes of payload and meta data in one message

	send  func(context.Context, *nats.Msg) (uint64, error)   // publish; tests lose its answers
	batch func(context.Context, []*nats.Msg) (uint64, error) // publishBatch; as above

	mu     sync.RWMutex // guards closed against calls that begin, and ends
	closed bool
	ends   map[*context.CancelFunc]struct{} // of what runs until Close
	calls  sync.WaitGroup                   // calls, watches and background work

	background *semaphore.Weighted // bounds the removals of old chunks under way
	few        int                 // up to how many writes of one stream go without a batch
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

	// Subjects of this Store's own in the stream, see DESIGN.md.
	fences string // of the writers' fences, up to the writer
	probe  string // of the messages that are there only to be stored
	lane   lane
	claims claims
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
	s := &Store{id: id.Token(12), conn: conn, js: js, cfg: cfg, ends: make(map[*context.CancelFunc]struct{}), background: semaphore.NewWeighted(maxRemovals), few: maxClaimed}
	if s.inline, err = inlineFor(conn.MaxPayload()); err != nil {
		return nil, err
	}
	s.most = int(conn.MaxPayload()) - maxEnvelope
	s.send, s.batch = s.publish, s.publishBatch
	if err := s.openStreams(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// newShard is stream i of n.
func (s *Store) newShard(stream jetstream.Stream, i, n int) *shard {
	name := streamName(i)
	own := fmt.Sprintf("squall.%s.%sc.%x.", s.cfg.Namespace, s.cfg.Space, i*digits/n)
	sh := &shard{
		name: name, stream: stream, floors: newFloors(floorsPerShard),
		directGet: "$JS.API.DIRECT.GET." + name,
		leaderGet: "$JS.API.STREAM.MSG.GET." + name,
		fences:    own + "fence.",
		probe:     own + "probe." + s.id,
		lane:      lane{subject: own + "lane." + s.id, turn: make(chan struct{}, 1), known: true},
	}
	sh.replicated.Store(stream.CachedInfo().Config.Replicas > 1)
	return sh
}

// maxEnvelope is room for what stands beside a payload and its meta data: a key of 1 KiB and the subject are the largest.
const maxEnvelope = 4 << 10 // bytes

// inlineFor is how long payloads may be that lie in their records.
func inlineFor(maxPayload int64) (int, error) {
	n := min(maxPayload-maxEnvelope, maxInline)
	if n < 4<<10 {
		return 0, fault.New(fault.InvalidArgument, "the nats server takes messages of at most %d bytes: set max_payload to 64 KiB or more", maxPayload)
	}
	return int(n), nil
}

// shardOf is the stream that owns a slot.
func (s *Store) shardOf(p place) *shard { return s.shards[s.shardIndex(p)] }

func (s *Store) shardIndex(p place) int { return p.digit() * len(s.shards) / digits }

// Slot of a key.
func (s *Store) Slot(key kvs.Key) int { return slotOf(s.cfg.Namespace, key) }

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
