package offload

import (
	"time"

	"github.com/squall-faas/squall/dag"
)

// Path is how a value gets from its producer to its consumer.
type Path = dag.Path

// The paths: see package dag.
const (
	Auto   = dag.Auto
	Inline = dag.Inline
	Local  = dag.Local
	Direct = dag.Direct
	Remote = dag.Remote
)

// Terms say for whom and for how long values leave in a message.
type Terms struct {
	// TTL is how long the values are kept for their reader; 0 is the configured one.
	TTL time.Duration
	// To names the executor that the message goes to; "" is anybody else, who can read the store only.
	To string
	// Run is whose end, told to Hold.Release, ends the keeping before the TTL does. "" is nobody's.
	Run string
	// Path is what a plan has chosen.
	Path Path
}

// most is the largest payload that may leave under these terms, in bytes.
func (t Terms) most() int {
	if t.To == "" {
		return MaxValue
	}
	return MaxDirect
}

// choose decides the path of a value whose wire form has so many bytes, in a message that carries threshold; holds says
// whether this node can hold values for others. It gives Inline, Direct or Remote: Local is Direct to whoever sends, for it
// is the reader that finds out whether it is on the same host.
func choose(t Terms, size, threshold int, holds bool) Path {
	direct := holds && t.To != ""
	switch {
	case size < worthwhile:
		return Inline // a reference would be hardly smaller
	case t.Path == Remote:
		return Remote
	case (t.Path == Direct || t.Path == Local) && direct:
		return Direct
	case size <= threshold:
		return Inline
	case direct:
		return Direct
	}
	return Remote
}
