package jetkv

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/squall-faas/squall/fault"
)

// attempt bounds one request. A leader that stopped answering is replaced within some 5 s, so several attempts fit into
// the store's timeout.
const attempt = 3 * time.Second

// JetStream's error codes that decide something here.
const (
	errAccountFull    = 10002
	errInsufficient   = 10023
	errMemoryFull     = 10028
	errNoMessage      = 10037
	errStorageFull    = 10047
	errWrongLast      = 10071 // expected-last-subject-sequence is another
	errReplicas       = 10074 // more replicas than servers
	errWrongLastOther = 10164 // another write or check of the same key is under way: nothing is known yet
	errIncomplete     = 10176 // a batch lost its beginning
	errManyBatches    = 10210 // more batches under way than the stream takes
)

// verdict sorts the outcomes of a request.
type verdict int

const (
	answered verdict = iota // no error
	refused                 // an error that trying again does not change
	wrongSeq                // an expectation did not hold
	unsent                  // nobody received it, or it was dropped: try again
	busy                    // the same, and soon: somebody else is just there
	unknown                 // it may have been carried out: try again with care
)

func judge(err error) verdict {
	var api *jetstream.APIError
	switch {
	case err == nil:
		return answered
	case errors.As(err, &api):
		switch code := int(api.ErrorCode); {
		case code == errWrongLast:
			return wrongSeq
		case code == errWrongLastOther || code == errManyBatches:
			return busy
		case code == errIncomplete:
			return unsent
		case code == errAccountFull || code == errInsufficient || code == errMemoryFull || code == errStorageFull || code == errReplicas:
			return refused
		case api.Code < 500:
			return refused
		}
		return unknown
	case errors.Is(err, nats.ErrNoResponders), errors.Is(err, jetstream.ErrNoStreamResponse), errors.Is(err, nats.ErrReconnectBufExceeded),
		errors.Is(err, errDisconnected):
		return unsent
	case errors.Is(err, errBehind):
		return busy
	case errors.Is(err, nats.ErrTimeout), errors.Is(err, context.DeadlineExceeded), errors.Is(err, nats.ErrDisconnected):
		return unknown
	}
	return refused // a closed connection, a message that is too long, a fault of our own
}

// errDisconnected stands for a request that was not made because there is no connection. To make it all the same would
// leave it in the client's buffer, to be carried out long after its caller was told that it failed.
var errDisconnected = errors.New("not connected to nats")

// errBehind says that a replica has not got as far as a read needs.
var errBehind = errors.New("the replica is behind")

// trial is the life of one request that may be made several times.
type trial struct {
	s     *Store
	what  string
	until time.Time
	wait  *backoff.ExponentialBackOff // between attempts that failed
	turn  *backoff.ExponentialBackOff // between attempts that somebody else was in the way of
}

func (s *Store) try(what string) *trial {
	return &trial{s: s, what: what, until: time.Now().Add(s.cfg.Timeout)}
}

// once makes one attempt.
func (t *trial) once(ctx context.Context, f func(context.Context) error) error {
	if !t.s.conn.IsConnected() && !t.s.conn.IsClosed() {
		return errDisconnected
	}
	end := time.Now().Add(attempt)
	if t.until.Before(end) {
		end = t.until
	}
	ctx, cancel := context.WithDeadline(ctx, end)
	defer cancel()
	return f(ctx)
}

// again waits before another attempt after err; it returns an error instead when there is no time for one.
func (t *trial) again(ctx context.Context, err error) error {
	return t.pause(ctx, err, &t.wait, 20*time.Millisecond, time.Second)
}

// soon is again for an attempt that found others at the same key: they are done within milliseconds.
func (t *trial) soon(ctx context.Context, err error) error {
	return t.pause(ctx, err, &t.turn, time.Millisecond, 50*time.Millisecond)
}

func (t *trial) pause(ctx context.Context, err error, b **backoff.ExponentialBackOff, least, most time.Duration) error {
	if *b == nil {
		*b = backoff.NewExponentialBackOff()
		(*b).InitialInterval, (*b).MaxInterval = least, most
	}
	pause := (*b).NextBackOff()
	if ctx.Err() != nil || time.Now().Add(pause).After(t.until) {
		return t.fail(ctx, err)
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return t.fail(ctx, err)
	}
}

// fail makes err the fault that the caller gets.
func (t *trial) fail(ctx context.Context, err error) error {
	var own *fault.Error
	var api *jetstream.APIError
	switch {
	case errors.As(err, &own):
		return own
	case ctx.Err() != nil:
		return fault.From(ctx.Err())
	case errors.As(err, &api):
		switch int(api.ErrorCode) {
		case errReplicas:
			return fault.New(fault.InvalidArgument, "%s: more replicas than there are nats servers in the cluster: %w", t.what, err)
		case errAccountFull, errInsufficient, errMemoryFull, errStorageFull:
			// Not "delete something": a delete is a message too, and refused like any other.
			return unavailable("%s: the store is full: raise JetStream's limits, or give it a larger disk: %w", t.what, err)
		}
	case errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount):
		return fault.New(fault.InvalidArgument, "%s: the nats server runs without JetStream: start it with a store directory (-js): %w", t.what, err)
	}
	return unavailable("%s: jetstream does not answer: %w", t.what, err)
}

func unavailable(format string, args ...any) error {
	return fault.New(fault.Unavailable, format, args...).With(func(e *fault.Error) { e.RetryAfter = time.Second })
}

// retry makes an idempotent request until it is answered.
func (s *Store) retry(ctx context.Context, what string, f func(context.Context) error) error {
	t := s.try(what)
	for {
		err := t.once(ctx, f)
		switch judge(err) {
		case answered:
			return nil
		case refused, wrongSeq:
			return t.fail(ctx, err)
		case busy:
			err = t.soon(ctx, err)
		default:
			err = t.again(ctx, err)
		}
		if err != nil {
			return err
		}
	}
}

// ack is JetStream's answer to a published message.
type ack struct {
	Error  *jetstream.APIError `json:"error"`
	Stream string              `json:"stream"`
	Seq    uint64              `json:"seq"`
}

// publish stores one message and returns its sequence.
func (s *Store) publish(ctx context.Context, m *nats.Msg) (uint64, error) {
	reply, err := s.conn.RequestMsgWithContext(ctx, m)
	if err != nil {
		return 0, err
	}
	var a ack
	if err := json.Unmarshal(reply.Data, &a); err != nil || a.Error == nil && a.Seq == 0 {
		return 0, fault.New(fault.Internal, "an answer from jetstream that is not one: %.100q", reply.Data)
	}
	if a.Error != nil {
		return 0, a.Error
	}
	return a.Seq, nil
}
