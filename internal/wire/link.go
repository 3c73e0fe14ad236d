package wire

import "strconv"

// Peer is one life of a node: its name, and the incarnation that each start of it draws anew.
type Peer struct {
	Name        string `cbor:"1,keyasint"`
	Incarnation uint64 `cbor:"2,keyasint"`
}

// Writer names one life of a node to the store, which fences it.
func (p Peer) Writer() string {
	return p.Name[:min(len(p.Name), 100)] + "-" + strconv.FormatUint(p.Incarnation, 36)
}

// Frame carries one message over a link.
type Frame struct {
	From    Peer   `cbor:"1,keyasint"`
	To      uint64 `cbor:"2,keyasint,omitempty"` // the incarnation it is meant for; 0 while the sender does not know
	Seq     uint64 `cbor:"3,keyasint"`           // from 1, per pair of incarnations
	Message []byte `cbor:"4,keyasint"`
	Clock   uint64 `cbor:"5,keyasint,omitempty"` // the sender's hybrid logical clock as it was sent; 0 where it has none
}

func (*Frame) wireType() Type { return TypeFrame }

// Ack says that every frame up to Seq has arrived.
type Ack struct {
	From Peer   `cbor:"1,keyasint"`
	To   uint64 `cbor:"2,keyasint"` // the incarnation whose frames these were
	Seq  uint64 `cbor:"3,keyasint"`
}

func (*Ack) wireType() Type { return TypeAck }

// Ping asks a node whether it lives; it answers with its own Ping.
type Ping struct {
	From Peer `cbor:"1,keyasint"`
}

func (*Ping) wireType() Type { return TypePing }

// Fence tells a node that it was declared dead: what it ran was given to others. It drops its runs and comes back as
// a new incarnation. Sent outside any link, to Subjects.Fence.
type Fence struct {
	Incarnation uint64 `cbor:"1,keyasint"` // the one that is over; a later one ignores the message
}

func (*Fence) wireType() Type { return TypeFence }
