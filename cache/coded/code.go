package coded

import (
	"sync"

	"github.com/klauspost/reedsolomon"

	"github.com/squall-faas/squall/cache/coded/layout"
	"github.com/squall-faas/squall/fault"
)

// coders are the matrices by code, and memory for shards that have no place of their own. Safe for concurrent use.
type coders struct {
	mu   sync.Mutex // guards by
	by   map[layout.Code]reedsolomon.Encoder
	free sync.Pool
}

func (c *coders) of(code layout.Code) (reedsolomon.Encoder, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.by[code]; ok {
		return e, nil
	}
	// One goroutine: a stripe takes about a millisecond, less than it takes on a busy machine until others are scheduled; and
	// several stripes are under way.
	e, err := reedsolomon.New(code.Data, code.Parity, reedsolomon.WithMaxGoroutines(1))
	if err != nil {
		return nil, fault.New(fault.InvalidArgument, "the code %v: %w", code, err)
	}
	if c.by == nil {
		c.by = map[layout.Code]reedsolomon.Encoder{}
	}
	c.by[code] = e
	return e, nil
}

// scratch gives n bytes with anything in them; recycle takes them back.
func (c *coders) scratch(n int) []byte {
	if b, ok := c.free.Get().(*[]byte); ok {
		if cap(*b) >= n {
			return (*b)[:n]
		}
	}
	return make([]byte, n)
}

func (c *coders) recycle(b []byte) {
	if cap(b) > 0 {
		c.free.Put(&b)
	}
}

// encode fills the parity shards of a stripe from its data shards, all of the stripe's length.
func (c *coders) encode(s layout.Stripe, shards [][]byte) error {
	switch {
	case s.Parity == 0:
		return nil
	case s.Data == 1: // copies: no arithmetic
		for _, p := range shards[1:] {
			copy(p, shards[0])
		}
		return nil
	}
	e, err := c.of(s.Code)
	if err == nil {
		err = e.Encode(shards)
	}
	if err != nil {
		return fault.New(fault.Internal, "encode a stripe: %w", err)
	}
	return nil
}

// rebuild fills in the shards that are wanted and empty (of length 0, with room) from those that are there.
func (c *coders) rebuild(s layout.Stripe, shards [][]byte, wanted []bool) error {
	if s.Data == 1 {
		var from []byte
		for _, x := range shards {
			if len(x) > 0 {
				from = x
			}
		}
		for i, x := range shards {
			if wanted[i] && len(x) == 0 {
				copy(x[:s.Shard], from)
			}
		}
		return nil
	}
	e, err := c.of(s.Code)
	if err == nil {
		err = e.ReconstructSome(shards, wanted)
	}
	if err != nil {
		return fault.New(fault.Internal, "rebuild a stripe: %w", err)
	}
	return nil
}
