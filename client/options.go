package client

import (
	"time"

	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/kvs/version"
)

// Level is what a run, or a single read or write, may see of state and what others may see of its writes.
// docs/consistency.md says which to choose.
type Level = kvs.Level

// The levels, from the cheapest on.
const (
	LWW    Level = kvs.LWW                // last writer wins
	RR     Level = kvs.RepeatableRead     // a run sees one version of each key
	SK     Level = kvs.SingleKey          // concurrent writes to a key are kept as siblings
	MK     Level = kvs.MultiKey           // what one node reads is a causal cut
	DSC    Level = kvs.DistributedSession // MK and RR across all nodes of a run
	Strong Level = kvs.Strong             // linearizable per key
	Txn    Level = kvs.Transaction        // serializable among keys that share a {tag}
)

// CallOption changes one call or run.
type CallOption interface{ call(*callOptions) }

// KVOption changes one read or write of a key.
type KVOption interface{ key(*keyOptions) }

// Option is one that goes with both.
type Option interface {
	CallOption
	KVOption
}

type callOptions struct {
	durable bool
	trace   bool
	once    string
	runTime time.Duration
	level   kvs.Level
	ack     kvs.Ack

	priority int
}

type keyOptions struct {
	level  kvs.Level
	ttl    time.Duration
	once   string
	create bool
	at     kvs.Revision
}

type callOption func(*callOptions)

func (f callOption) call(o *callOptions) { f(o) }

type keyOption func(*keyOptions)

func (f keyOption) key(o *keyOptions) { f(o) }

// Durable stores the run before anything is answered: it survives the loss of every process, and its outcome is
// recorded exactly once.
func Durable() CallOption { return callOption(func(o *callOptions) { o.durable = true }) }

// RunTime bounds an async run; a sync call has its context's deadline.
func RunTime(d time.Duration) CallOption { return callOption(func(o *callOptions) { o.runTime = d }) }

// Trace asks where the run's time goes, by node: see Outputs.Stats.
func Trace() CallOption { return callOption(func(o *callOptions) { o.trace = true }) }

// IdempotencyKey names the run: a call with the same key and target is the same run, and answered with its outcome. Of an
// Update it names the operation, which then counts once for its key, however often it is called.
func IdempotencyKey(key string) Option { return once(key) }

type once string

func (k once) call(o *callOptions) { o.once = string(k) }
func (k once) key(o *keyOptions)   { o.once = string(k) }

// Priority orders the calls of one application while they wait for a slot: from -10 to 10, 0 without it. One of priority p is
// served like one that came p seconds earlier, so a low one is late, but not for ever. No application gets a larger share by it.
func Priority(p int) CallOption { return callOption(func(o *callOptions) { o.priority = p }) }

// Consistency chooses the level of a call's functions, of a run, or of one read or write; without it, it is LWW.
func Consistency(level Level) Option { return consistency(level) }

type consistency kvs.Level

func (l consistency) call(o *callOptions) { o.level = kvs.Level(l) }
func (l consistency) key(o *keyOptions)   { o.level = kvs.Level(l) }

// WriteAck says when the writes of a call's functions are answered: kvs.Cached by their node's cache, which is what they
// have without it, kvs.Stored or kvs.Durable. A client has no cache: what it writes itself is durable when it is answered,
// whatever is asked for.
func WriteAck(ack kvs.Ack) Option { return acknowledged(ack) }

type acknowledged kvs.Ack

func (a acknowledged) call(o *callOptions) { o.ack = kvs.Ack(a) }
func (a acknowledged) key(*keyOptions)     {}

// TTL removes the key after d, rounded up to whole seconds.
func TTL(d time.Duration) KVOption { return keyOption(func(o *keyOptions) { o.ttl = d }) }

// Create writes only where the key does not exist; else conflict.
func Create() KVOption { return keyOption(func(o *keyOptions) { o.create = true }) }

// IfRevision writes or deletes only where the key's revision is r, as Version gave it; else conflict.
func IfRevision(r kvs.Revision) KVOption { return keyOption(func(o *keyOptions) { o.at = r }) }

func keyOptionsOf(opts []KVOption) (o keyOptions) {
	for _, opt := range opts {
		opt.key(&o)
	}
	return o
}

func (o keyOptions) write() version.WriteOptions {
	w := version.WriteOptions{Level: o.level, TTL: o.ttl, Create: o.create, Revision: o.at}
	if o.once != "" {
		w.ID = version.Operation(o.once)
	}
	return w
}
