package offload

import "time"

// Path is how a value gets from its producer to its consumer (SONIC §3, SAND §3.3). A plan may choose it for each value and
// destination; what it chose is a wish, which a value that turns out larger or smaller than predicted may not follow.
type Path uint8

// The paths.
const (
	// Auto has the default rule choose.
	Auto Path = iota
	// Inline: in the message, if it fits; else as Auto.
	Inline
	// Local: on one node by pointer, which no message is needed for; between processes of one host by shared memory, and
	// where they share none as Direct.
	Local
	// Direct: the consumer pulls it from the producer's data port, or by shared memory where both are on one host.
	Direct
	// Remote: the producer puts it in the store, and the consumer reads it there.
	Remote
)

// String names the path as people read it.
func (p Path) String() string {
	switch p {
	case Inline:
		return "inline"
	case Local:
		return "local"
	case Direct:
		return "direct"
	case Remote:
		return "remote"
	}
	return "auto"
}

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
