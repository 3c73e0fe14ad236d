// Package layout says how an object is cut: into stripes, each of d data and p parity shards (Reed–Solomon), and which of
// them a range needs. It is pure.
//
//	object   ├──────── stripe 0 ────────┼──────── stripe 1 ────────┼─ stripe 2 ─┤
//	          column 0 │ 1 │ … │ d-1      0 │ 1 │ … │ d-1             0 │ 1 │ …      data: bytes of the object, in order
//	          column d │ … │ d+p-1        …                            …              parity
//
// A stripe's shards are of one length for the arithmetic. What is stored and sent of them is only what the object has:
// the last data shards of the last stripe are shorter than that, or empty, and count as filled up with zeros. Column i of
// all stripes lies on one lender.
package layout

import (
	"fmt"
	"strings"

	"github.com/squall-faas/squall/fault"
)

// Bounds of the tier.
const (
	MaxObject = 16 << 30 // bytes of one object
	MaxWidth  = 64       // shards of a stripe
	// ShardBytes is the longest shard. A stripe of 10+2 has ten times as many bytes of the object: little enough that
	// encoding one overlaps with sending the one before, enough that a round trip is small beside it.
	ShardBytes = 1 << 20
)

// Code is how many data and parity shards a stripe has. Any Data of the Data+Parity shards give it back.
type Code struct {
	Data   int `cbor:"1,keyasint" json:"data"`
	Parity int `cbor:"2,keyasint" json:"parity"`
}

// Width is the number of shards of a stripe.
func (c Code) Width() int { return c.Data + c.Parity }

// String is as people write it: 10+2.
func (c Code) String() string { return fmt.Sprintf("%d+%d", c.Data, c.Parity) }

// IsZero reports whether nothing was chosen.
func (c Code) IsZero() bool { return c == Code{} }

// Check refuses a code that cannot be.
func (c Code) Check() error {
	if c.Data < 1 || c.Parity < 0 || c.Data > MaxWidth || c.Parity > MaxWidth || c.Width() > MaxWidth {
		return fault.New(fault.InvalidArgument, "the code %v: use at least one data shard and at most %d shards, for instance 10+2", c, MaxWidth)
	}
	return nil
}

// ParseCode reads 10+2.
func ParseCode(s string) (Code, error) {
	var c Code
	var rest string
	if n, _ := fmt.Sscanf(strings.TrimSpace(s), "%d+%d%s", &c.Data, &c.Parity, &rest); n != 2 {
		return Code{}, fault.New(fault.InvalidArgument, "the code %.20q: write data and parity shards as 10+2", s)
	}
	return c, c.Check()
}

// Shape is how one object is cut.
type Shape struct {
	Code
	Size  int64 // of the object in bytes
	Shard int   // bytes of a shard of every stripe but the last, whose shards may be shorter
}

// Cut cuts an object of size bytes. invalid_argument for a code that cannot be, too_large over MaxObject.
func Cut(size int64, c Code) (Shape, error) {
	if err := c.Check(); err != nil {
		return Shape{}, err
	}
	if size < 0 {
		return Shape{}, fault.New(fault.InvalidArgument, "an object of %d bytes", size)
	}
	if size > MaxObject {
		return Shape{}, TooLarge(size)
	}
	return Shape{Code: c, Size: size, Shard: int(min(int64(ShardBytes), shardOf(size, c.Data)))}, nil
}

// TooLarge is what an object over MaxObject is answered.
func TooLarge(size int64) error {
	return fault.New(fault.TooLarge, "an object of %d bytes or more: at most %d (16 GiB) can be kept under one key; split it over several", size, int64(MaxObject))
}

// shardOf is the length of d shards that hold n bytes.
func shardOf(n int64, d int) int64 { return (n + int64(d) - 1) / int64(d) }

// Check refuses a shape that Cut does not make, such as one that came from elsewhere.
func (s Shape) Check() error {
	made, err := Cut(s.Size, s.Code)
	if err == nil && made != s {
		err = fault.New(fault.Unsupported, "an object of %d bytes in shards of %d: this release cuts it into shards of %d", s.Size, s.Shard, made.Shard)
	}
	return err
}

// StripeBytes is how many bytes of the object a stripe holds, the last one excepted.
func (s Shape) StripeBytes() int { return s.Shard * s.Data }

// Stripes is their number; an empty object has none.
func (s Shape) Stripes() int {
	if s.Size == 0 {
		return 0
	}
	return int((s.Size + int64(s.StripeBytes()) - 1) / int64(s.StripeBytes()))
}

// Stripe is one stripe of a Shape.
type Stripe struct {
	Code
	Index  int
	Offset int64 // in the object
	Length int   // bytes of the object
	Shard  int   // bytes of a shard for the arithmetic
}

// Stripe gives the stripe at an index below Stripes.
func (s Shape) Stripe(index int) Stripe {
	offset := int64(index) * int64(s.StripeBytes())
	length := int(min(int64(s.StripeBytes()), s.Size-offset))
	return Stripe{Code: s.Code, Index: index, Offset: offset, Length: length, Shard: int(shardOf(int64(length), s.Data))}
}

// Padded is the bytes of the stripe's data shards with their filling.
func (s Stripe) Padded() int { return s.Shard * s.Data }

// Stored is how many bytes of a column are stored: 0 where the stripe has none there.
func (s Stripe) Stored(column int) int {
	if column >= s.Data {
		return s.Shard
	}
	return min(max(s.Length-column*s.Shard, 0), s.Shard)
}

// Column is the bytes of a column in all stripes together: what its lender has to lend.
func (s Shape) Column(column int) int64 {
	n := s.Stripes()
	if n == 0 {
		return 0
	}
	return int64(n-1)*int64(s.Shard) + int64(s.Stripe(n-1).Stored(column))
}

// Stored is the bytes of all columns together.
func (s Shape) Stored() int64 {
	var sum int64
	for c := range s.Width() {
		sum += s.Column(c)
	}
	return sum
}

// Part is what a range needs of one stripe.
type Part struct {
	Stripe
	From, To      int // bytes of the stripe, From before To
	First, Beyond int // the data columns that hold them
}

// Range gives what length bytes from offset on need, stripe by stripe. invalid_argument where they are not inside the
// object.
func (s Shape) Range(offset, length int64) ([]Part, error) {
	if offset < 0 || length < 0 || offset > s.Size || length > s.Size-offset {
		return nil, fault.New(fault.InvalidArgument, "%d bytes from %d on of an object of %d: ask within it", length, offset, s.Size)
	}
	var parts []Part
	for length > 0 {
		x := s.Stripe(int(offset / int64(s.StripeBytes())))
		from := int(offset - x.Offset)
		to := int(min(int64(x.Length), int64(from)+length))
		parts = append(parts, Part{Stripe: x, From: from, To: to, First: from / x.Shard, Beyond: (to-1)/x.Shard + 1})
		offset += int64(to - from)
		length -= int64(to - from)
	}
	return parts, nil
}
