package offload

import (
	"strings"
	"time"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs"
)

// Defaults of Config.
const (
	DefaultThreshold = 256 << 10
	DefaultTTL       = 10 * time.Minute
	DefaultPrefix    = "off/"
)

const (
	// farBytes is what a reference costs in a message: its key, its numbers and their heads.
	farBytes = 96
	// worthwhile is the least wire form that is offloaded: below, the reference saves next to nothing.
	worthwhile = 4 * farBytes
	// parallel is how many puts, gets or deletes of one message go on at a time.
	parallel = 8
)

// Config of an Offload.
type Config struct {
	// Store holds the offloaded values: the namespace's system space. Required. It is not closed by this package.
	Store kvs.Store
	// Threshold is how many bytes of values one message carries, references included; 0 means DefaultThreshold. It
	// must leave room below the bus's largest message for what else a message says. Higher saves trips to the store
	// and makes messages block the connection for longer.
	Threshold int
	// TTL of a value whose Out names none; 0 means DefaultTTL.
	TTL time.Duration
	// Prefix of the keys; "" means DefaultPrefix. References outside it are refused. All nodes must have the same.
	Prefix string
}

func (c Config) validate() (Config, error) {
	if c.Threshold == 0 {
		c.Threshold = DefaultThreshold
	}
	if c.TTL == 0 {
		c.TTL = DefaultTTL
	}
	if c.Prefix == "" {
		c.Prefix = DefaultPrefix
	}
	switch {
	case c.Store == nil:
		return c, fault.New(fault.InvalidArgument, "offload: Store is required")
	case c.Threshold < 4<<10:
		return c, fault.New(fault.InvalidArgument, "offload: Threshold is %d bytes: give at least 4096, or 0 for the default", c.Threshold)
	case c.TTL < time.Second:
		return c, fault.New(fault.InvalidArgument, "offload: TTL is %v: give at least a second, or 0 for the default", c.TTL)
	case len(c.Prefix) > 64 || strings.ContainsRune(c.Prefix, 0):
		return c, fault.New(fault.InvalidArgument, "offload: Prefix has %d bytes: give at most 64, without NUL", len(c.Prefix))
	}
	return c, nil
}

// Offload moves values between messages and the store. It holds no state of its own; all methods are safe for
// concurrent use.
type Offload struct {
	cfg Config
}

// New makes an Offload.
func New(cfg Config) (*Offload, error) {
	cfg, err := cfg.validate()
	if err != nil {
		return nil, err
	}
	return &Offload{cfg: cfg}, nil
}
