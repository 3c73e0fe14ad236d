package offload

import (
	"context"
	"strings"
	"time"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/xfer"
	"github.com/squall-faas/squall/kvs"
)

// Defaults of Config.
const (
	DefaultThreshold = 256 << 10
	DefaultTTL       = 10 * time.Minute
	DefaultPrefix    = "off/"
)

// MaxValue is how many bytes of payload one value may have that travels between a client and a run, into a function or out
// of it. A store takes longer ones (kvs.MaxValue), and functions pass them by reference: who is outside holds every value
// that travels in memory, often several times.
const MaxValue = 64 << 20

// MaxDirect is how many bytes of payload one value may have that one executor passes to another: it is held once where it
// was made, and once where it is pulled to, within the bounds of Hold and of the data port's client. No store takes more.
const MaxDirect = kvs.MaxValue

const (
	// farBytes is what a reference costs in a message: its key, its numbers and their heads.
	farBytes = 96
	// heldBytes is the same of a reference to a value that an executor holds: an address or a few, and a capability.
	heldBytes = 384
	// worthwhile is the least wire form that is offloaded: below, the reference saves next to nothing.
	worthwhile = 4 * farBytes
	// idLen is the length of a held value's ID.
	idLen = 32
	// parallel is how many puts, gets or deletes of one message go on at a time.
	parallel = 8
)

// Config of an Offload.
type Config struct {
	// Store holds the offloaded values: the namespace's system space. Required. It is not closed by this package.
	Store kvs.Store
	// Threshold is how many bytes of values one message carries, references included; 0 means DefaultThreshold, and no more
	// than a quarter of MaxPayload. It must leave room below the bus's largest message for what else a message says. Higher
	// saves trips to the store and makes messages block the connection for longer.
	Threshold int
	// MaxPayload is the bus's largest message; 0 is one that leaves room enough.
	MaxPayload int
	// TTL of a value whose Out names none; 0 means DefaultTTL.
	TTL time.Duration
	// Prefix of the keys; "" means DefaultPrefix. References outside it are refused. All nodes must have the same.
	Prefix string

	// Hold keeps values for other executors to pull; nil keeps none, and large ones go through the store.
	Hold *Hold
	// Tier takes values of LendFrom bytes and more (0: DefaultLendFrom) that a run passes to another executor and that this
	// node does not hold: it lies between Hold and Store. What it loses is made anew. nil: they go to the store. Needs Hold,
	// and all executors of the namespace must have one to read from.
	Tier     Tier
	LendFrom int
	// Client pulls values from other executors' data ports; nil reads the store only. It is not closed by this package.
	Client *xfer.Client
	// PortOf gives the data port of an executor, "" where it is not known; nil knows none. With it, references name those
	// that have the value already.
	PortOf func(executor string) string
	// AskStore asks an executor to Deposit a value that it holds: for those whose data ports cannot be reached from here. nil
	// asks nobody.
	AskStore func(ctx context.Context, executor string, ref xfer.Ref) error
	// Observed is told of each value that came from an executor's data port alone, its bytes, and how long it took; nil is
	// nobody. It must not block.
	Observed func(executor string, bytes int64, took time.Duration)
}

func (c Config) validate() (Config, error) {
	if c.Threshold == 0 {
		c.Threshold = DefaultThreshold
		if c.MaxPayload > 0 {
			c.Threshold = min(c.Threshold, c.MaxPayload/4)
		}
	}
	if c.TTL == 0 {
		c.TTL = DefaultTTL
	}
	if c.Prefix == "" {
		c.Prefix = DefaultPrefix
	}
	if c.LendFrom == 0 {
		c.LendFrom = DefaultLendFrom
	}
	switch {
	case c.Store == nil:
		return c, fault.New(fault.InvalidArgument, "offload: Store is required")
	case c.Threshold < 4<<10 && c.MaxPayload > 0 && c.MaxPayload < 16<<10:
		return c, fault.New(fault.InvalidArgument, "offload: the bus takes messages of %d bytes at most: set the servers' max_payload to 16 KiB or more, best 1 MiB", c.MaxPayload)
	case c.Threshold < 4<<10:
		return c, fault.New(fault.InvalidArgument, "offload: Threshold is %d bytes: give at least 4096, or 0 for the default", c.Threshold)
	case c.TTL < time.Second:
		return c, fault.New(fault.InvalidArgument, "offload: TTL is %v: give at least a second, or 0 for the default", c.TTL)
	case len(c.Prefix) > 64 || strings.ContainsRune(c.Prefix, 0):
		return c, fault.New(fault.InvalidArgument, "offload: Prefix has %d bytes: give at most 64, without NUL", len(c.Prefix))
	}
	return c, nil
}

// Offload moves values between messages, nodes and the store. All methods are safe for concurrent use.
type Offload struct {
	cfg   Config
	apart *shunned // data ports whose owners share no memory with this process although their host's name says so
	deaf  *shunned // data ports that could not be reached
}

// Small is the most bytes of values, kinds and lengths included, that are surely not offloaded.
func (o *Offload) Small() int { return o.cfg.Threshold / 2 }

// New makes an Offload.
func New(cfg Config) (*Offload, error) {
	cfg, err := cfg.validate()
	if err != nil {
		return nil, err
	}
	if cfg.Hold != nil {
		cfg.Hold.lent.tier = cfg.Tier
	}
	return &Offload{cfg: cfg, apart: newShunned(), deaf: newShunned()}, nil
}
