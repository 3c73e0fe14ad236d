package wire

import (
	"github.com/fxamacker/cbor/v2"

	"github.com/squall-faas/squall/fault"
)

// Version is the major version that this release writes and reads.
const Version = 1

// Type tells what a message's body is. The numbers are append-only.
type Type uint8

// The messages and records.
const (
	TypeFrame     Type = 1  // link: a numbered message
	TypeAck       Type = 2  // link: what has arrived
	TypeCall      Type = 3  // client → coordinator
	TypeOutcome   Type = 4  // executor or coordinator → client
	TypeDeliver   Type = 5  // coordinator or executor → executor: values for a run
	TypeExec      Type = 6  // executor → executor: one invocation for another's node
	TypeResult    Type = 7  // executor → executor: its result
	TypeFailure   Type = 8  // executor → collector: a node has failed for good
	TypeRelease   Type = 9  // collector or owner → executor: runs that have ended
	TypeReport    Type = 10 // executor → owner: runs that have ended
	TypeHeartbeat Type = 11 // executor → coordinators
	TypeCancel    Type = 12 // owner → executor
	TypeQuery     Type = 13 // owner → executor: what do you hold of a run
	TypeHeld      Type = 14 // executor → owner
	TypeReplan    Type = 15 // owner → executor
	TypeSpread    Type = 16 // executor → owner: who could run these items
	TypeOffers    Type = 17 // owner → executor
	TypeRunOp     Type = 18 // client → coordinator: await, cancel, status
	TypeInquiry   Type = 19 // client → coordinator: are these runs alive
	TypeAdmin     Type = 20 // client → coordinator: register, list, remove, status
	TypeAnswer    Type = 21 // coordinator → client
	TypeRunRecord Type = 22 // stored: a durable or asynchronous run
	TypeSpec      Type = 23 // stored: a graph with its functions' versions
	TypeFunction  Type = 24 // stored: a function's current version
	TypeGraph     Type = 25 // stored: a DAG's current version
	TypePing      Type = 26 // owner → executor: are you there
	TypeFence     Type = 27 // owner → executor: you were declared dead
	TypeAgain     Type = 30 // collector → owner: begin anew
	TypeAsk       Type = 31 // executor → executor: of its cache
	TypeTold      Type = 32 // its answer
	TypeEffects   Type = 33 // stored: what an invocation of a durable run writes
)

var enc = func() cbor.EncMode {
	m, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		panic(err)
	}
	return m
}()

var dec = func() cbor.DecMode {
	m, err := cbor.DecOptions{
		MaxNestedLevels: 32, MaxArrayElements: 1 << 20, MaxMapPairs: 1 << 16,
		UTF8: cbor.UTF8DecodeInvalid, // a function's error may hold any bytes; it must reach its caller all the same
	}.DecMode()
	if err != nil {
		panic(err)
	}
	return m
}()

// Message is what has a type of its own: every struct of this package that is sent or stored whole.
type Message interface{ wireType() Type }

// Encode gives m with its envelope.
func Encode(m Message) ([]byte, error) {
	body, err := enc.Marshal(m)
	if err != nil {
		return nil, fault.New(fault.Internal, "encode message %d: %w", m.wireType(), err)
	}
	out := make([]byte, 0, 2+len(body))
	out = append(out, Version, byte(m.wireType()))
	return append(out, body...), nil
}

// MustEncode is Encode for messages that this process made itself and that hold nothing but plain fields.
func MustEncode(m Message) []byte {
	b, err := Encode(m)
	if err != nil {
		panic(err)
	}
	return b
}

// Peek tells the type of an encoded message; an unknown version or an empty message is unsupported.
func Peek(b []byte) (Type, error) {
	if len(b) < 2 {
		return 0, fault.New(fault.Unsupported, "a message of %d bytes is none of Squall's: it has no version and type", len(b))
	}
	if b[0] != Version {
		return 0, fault.New(fault.Unsupported, "message of protocol version %d: this node speaks version %d; run nodes of neighbouring releases", b[0], Version)
	}
	return Type(b[1]), nil
}

// Decode reads b into m, whose type must be b's. m keeps slices of b.
func Decode(b []byte, m Message) error {
	t, err := Peek(b)
	if err != nil {
		return err
	}
	if t != m.wireType() {
		return fault.New(fault.Unsupported, "message of type %d where type %d was expected", t, m.wireType())
	}
	if err := dec.Unmarshal(b[2:], m); err != nil {
		return fault.New(fault.Unsupported, "message of type %d does not decode: %w", t, err)
	}
	return nil
}
