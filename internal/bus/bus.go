// Package bus is the messaging seam: subjects, publish and subscribe, as NATS has them, small enough that an
// in-memory implementation with injected faults passes the same conformance suite as the real one.
//
// A subject is dot-separated tokens; in a subscription `*` stands for one token and a last `>` for one or more.
package bus

import (
	"context"
	"errors"
)

// ErrNoResponders is returned by Request when nobody subscribes to the subject, and shown by Msg.NoResponders to
// who published with a reply subject. It means that the message was not delivered to anyone.
var ErrNoResponders = errors.New("no responders")

// ErrClosed is returned by every method once the bus is closed.
var ErrClosed = errors.New("bus is closed")

// ErrTooLarge is returned by Publish and Request for a message over MaxPayload.
var ErrTooLarge = errors.New("message exceeds the maximum payload")

// Msg is one message.
type Msg struct {
	Subject string
	// Reply is where an answer should go; empty for none.
	Reply string
	// Data belongs to the receiver. A publisher may reuse its slice once Publish has returned.
	Data []byte
	// NoResponders marks the transport's own answer to a message that had a Reply and no subscriber: it arrives on
	// the reply subject and has no Data.
	NoResponders bool
}

// Handler receives messages. Calls of one subscription are sequential and in the order in which any one publisher
// sent them; a handler that blocks holds up its subscription and no other.
type Handler func(Msg)

// Subscription ends with Unsubscribe, which does not wait for a handler call that is under way. Idempotent.
type Subscription interface {
	Unsubscribe() error
}

// Bus sends and receives messages, at most once each. All methods are safe for concurrent use.
type Bus interface {
	// Publish hands m to the transport and returns; delivery is not confirmed.
	Publish(m Msg) error
	// Request publishes data and waits for one answer. It returns ErrNoResponders at once where nobody listens, and
	// ctx's error at its end; ctx must have a deadline or be cancelled by someone.
	Request(ctx context.Context, subject string, data []byte) ([]byte, error)
	// Subscribe delivers what is published to subject, wildcards allowed. Of the subscriptions that share a non-empty
	// queue name each message reaches one. When Subscribe has returned, messages published from anywhere after it
	// through a connected server are delivered.
	Subscribe(subject, queue string, h Handler) (Subscription, error)
	// MaxPayload is the longest Data in bytes.
	MaxPayload() int
	// OnReconnect registers f to be called, on a goroutine of its own, each time a lost connection is back and all
	// subscriptions are in force again.
	OnReconnect(f func())
	// Close ends all subscriptions and waits for handler calls under way, so no handler may call it. Idempotent.
	Close() error
}
