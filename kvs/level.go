package kvs

import (
	"strings"

	"github.com/squall-faas/squall/fault"
)

// Level is what a run may see of state and what others may see of its writes. docs/consistency.md says which to choose.
// The numbers are the wire's: append-only.
type Level uint8

// The levels, from the cheapest on.
const (
	// LWW: per key the highest hybrid logical clock wins, in caches and store alike.
	LWW Level = 0
	// RepeatableRead: a run sees one version of each key, or its own later write (Cloudburst §5.3, Algorithm 1).
	RepeatableRead Level = 1
	// SingleKey: concurrent writes to a key are kept as siblings, or merged by their lattice.
	SingleKey Level = 2
	// MultiKey: what one node's cache returns is a causal cut.
	MultiKey Level = 3
	// DistributedSession: MultiKey and RepeatableRead across all nodes of a run (Cloudburst §5.3, Algorithm 2).
	DistributedSession Level = 4
	// Strong: linearizable per key.
	Strong Level = 5
	// Transaction: serializable among keys that share a {tag}; a run is one transaction.
	Transaction Level = 6
)

var levelNames = [...]string{"lww", "rr", "sk", "mk", "dsc", "strong", "txn"}

// String is the level's short name.
func (l Level) String() string {
	if int(l) < len(levelNames) {
		return levelNames[l]
	}
	return "unknown"
}

// Levels lists all, from LWW on.
func Levels() []Level {
	return []Level{LWW, RepeatableRead, SingleKey, MultiKey, DistributedSession, Strong, Transaction}
}

// ParseLevel reads a short name; "" is LWW.
func ParseLevel(s string) (Level, error) {
	if s == "" {
		return LWW, nil
	}
	for l, name := range levelNames {
		if s == name {
			return Level(l), nil
		}
	}
	return LWW, fault.New(fault.InvalidArgument, "unknown consistency level %.20q: use one of %s", s, strings.Join(levelNames[:], ", "))
}

// Check refuses a level of a later release.
func (l Level) Check() error {
	if int(l) >= len(levelNames) {
		return fault.New(fault.Unsupported, "consistency level %d is of a later version of Squall: upgrade this node", l)
	}
	return nil
}

// Causal reports whether writes keep what they have not seen, and carry what they depend on.
func (l Level) Causal() bool { return l == SingleKey || l == MultiKey || l == DistributedSession }

// Session reports whether what a run reads and writes travels with it from node to node.
func (l Level) Session() bool { return l != LWW && l != Strong }

// Repeatable reports whether a run sees one version of each key, which is pinned for it.
func (l Level) Repeatable() bool { return l == RepeatableRead || l == DistributedSession }

// Ack is when a write is answered.
type Ack uint8

// The acknowledgements. The numbers are the wire's: append-only.
const (
	AckDefault Ack = 0 // of the caller: Cached for functions, Durable for everybody else and in durable runs
	Cached     Ack = 1 // by the node's cache, and stored in the background: a killed node may lose the last 50 ms or 1 MiB
	Stored     Ack = 2 // by the store's quorum
	Durable    Ack = 3 // fsynced, unless the servers were told otherwise
)

var ackNames = [...]string{"", "cached", "stored", "durable"}

// String is the acknowledgement's name.
func (a Ack) String() string {
	if int(a) < len(ackNames) {
		return ackNames[a]
	}
	return "unknown"
}

// ParseAck reads a name; "" is AckDefault.
func ParseAck(s string) (Ack, error) {
	for a, name := range ackNames {
		if s == name {
			return Ack(a), nil
		}
	}
	return AckDefault, fault.New(fault.InvalidArgument, "unknown acknowledgement %.20q: use cached, stored or durable", s)
}
