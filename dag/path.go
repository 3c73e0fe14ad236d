package dag

// Path is how a value gets from its producer to its consumer (SONIC §3, SAND §3.3). A plan may choose it for each source;
// what it chose is a wish, which a value that turns out larger or smaller than predicted may not follow. Numbers are of the
// wire format: append-only.
type Path uint8

// The paths.
const (
	// Auto has the executor's default rule choose. It is also that of an argument that is a constant.
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

// MarshalText implements encoding.TextMarshaler.
func (p Path) MarshalText() ([]byte, error) { return []byte(p.String()), nil }
