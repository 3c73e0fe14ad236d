// Package jetkv is the kvs.Store over NATS JetStream: the same code over one embedded server and over a cluster of
// three. DESIGN.md beside this file says how keys, records, chunks and deletes lie in streams, and why.
package jetkv

import (
	"time"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/id"
)

// Space separates what users store from Squall's own records: same streams, other subjects, other lists and watches.
type Space string

// The spaces.
const (
	User   Space = "kv"
	System Space = "sys"
)

// DefaultShards is how many streams a new store gets.
const DefaultShards = 4

// Config of a Store. Only Namespace must be given.
type Config struct {
	// Namespace whose keys the store holds: 1 to 128 of [A-Za-z0-9_-].
	Namespace string
	// Space of the keys; default User.
	Space Space

	// Shards is the number of streams: 1, 2, 4, 8 or 16. 0 takes what is there, and DefaultShards for a new store. More
	// streams fsync side by side; each costs a file, memory and, replicated, a Raft group. It is decided once, for all
	// namespaces of an account: to open with another number is refused.
	Shards int
	// Replicas of each stream: 1, 3 or 5. 0 takes what is there, and 1 for a new store. More than there are adds
	// replicas, fewer changes nothing.
	Replicas int
	// Memory keeps the streams in the servers' memory: for stores that nothing must survive.
	Memory bool

	// Timeout bounds how long one request to JetStream is tried again while it has no leader or no connection; the
	// call then ends in unavailable, or at its context's deadline if that is sooner. Default 10 s: an election takes
	// about 5.
	Timeout time.Duration
	// DeleteMarkers is how long a deletion is remembered for watchers that are cut off; one that is away for longer
	// ends. At least 1 s, default 5 min; a deleted key costs about 500 bytes of the servers' memory for that time.
	DeleteMarkers time.Duration
	// SweepGrace is the age from which Sweep takes a chunk that nothing refers to for garbage, and not for part of a
	// value that is being written. Default 1 h; a write that takes longer than half of it is refused.
	SweepGrace time.Duration
}

func (c Config) validate() (Config, error) {
	if err := id.CheckName("namespace", c.Namespace); err != nil {
		return c, err
	}
	if c.Space == "" {
		c.Space = User
	}
	if c.Space != User && c.Space != System {
		return c, fault.New(fault.InvalidArgument, "unknown space %.20q of the store: use %q or %q", string(c.Space), string(User), string(System))
	}
	switch c.Shards {
	case 0, 1, 2, 4, 8, 16:
	default:
		return c, fault.New(fault.InvalidArgument, "%d shards: use 1, 2, 4, 8 or 16", c.Shards)
	}
	switch c.Replicas {
	case 0, 1, 3, 5:
	default:
		return c, fault.New(fault.InvalidArgument, "%d replicas: use 1, 3 or 5", c.Replicas)
	}
	for _, d := range []struct {
		what string
		at   *time.Duration
		def  time.Duration
		min  time.Duration
	}{
		{"timeout", &c.Timeout, 10 * time.Second, time.Millisecond},
		{"time to keep delete markers", &c.DeleteMarkers, 5 * time.Minute, time.Second},
		{"sweep grace", &c.SweepGrace, time.Hour, time.Millisecond},
	} {
		if *d.at == 0 {
			*d.at = d.def
		}
		if *d.at < d.min {
			return c, fault.New(fault.InvalidArgument, "%s of %v: use at least %v", d.what, *d.at, d.min)
		}
	}
	return c, nil
}
