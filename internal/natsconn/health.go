package natsconn

import (
	"github.com/nats-io/nats-server/v2/server"

	"github.com/squall-faas/squall/fault"
)

// Ready is nil when the server takes part: its streams are recovered and, in a cluster, in step with their leaders.
// Else unavailable says what is missing.
func (s *Server) Ready() error {
	h := s.srv.Healthz(&server.HealthzOptions{})
	if h.Error != "" {
		return fault.New(fault.Unavailable, "the nats server is not ready: %s", h.Error)
	}
	return nil
}

// Figures are what a server is doing.
type Figures struct {
	Connections, Routes, Subscriptions         int
	MessagesIn, MessagesOut, BytesIn, BytesOut int64
	SlowConsumers                              int64  // that were cut off, so far
	Streams, Consumers                         int    // of JetStream
	Messages, Memory, Store                    uint64 // messages held; bytes of them in memory and in files
}

// Figures counts. It costs a few milliseconds where there are many streams.
func (s *Server) Figures() (Figures, error) {
	v, err := s.srv.Varz(nil)
	if err != nil {
		return Figures{}, fault.New(fault.Unavailable, "figures of the nats server: %w", err)
	}
	f := Figures{
		Connections: v.Connections, Routes: v.Routes, Subscriptions: int(v.Subscriptions),
		MessagesIn: v.InMsgs, MessagesOut: v.OutMsgs, BytesIn: v.InBytes, BytesOut: v.OutBytes, SlowConsumers: v.SlowConsumers,
	}
	if !s.srv.JetStreamEnabled() {
		return f, nil
	}
	js, err := s.srv.Jsz(nil)
	if err != nil {
		return f, fault.New(fault.Unavailable, "figures of JetStream: %w", err)
	}
	f.Streams, f.Consumers, f.Messages, f.Memory, f.Store = js.Streams, js.Consumers, js.Messages, js.Memory, js.Store
	return f, nil
}
