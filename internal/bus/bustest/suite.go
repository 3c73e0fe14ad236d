// Package bustest is the conformance suite of bus.Bus.
package bustest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/squall-faas/squall/internal/bus"
)

// patience bounds every wait that ends at once unless the bus is broken.
const patience = 20 * time.Second

// Run checks that two connections to one network behave as bus.Bus says. open makes a fresh pair for each test; it
// closes them in a cleanup if they are not closed by then.
func Run(t *testing.T, open func(t *testing.T) (a, b bus.Bus)) {
	t.Helper()
	for _, c := range []struct {
		name string
		test func(t *testing.T, a, b bus.Bus)
	}{
		{"delivers", delivers},
		{"wildcards", wildcards},
		{"queue", queue},
		{"queue across patterns", queueAcrossPatterns},
		{"order of a publisher", order},
		{"a slow handler holds up itself alone", slowHandler},
		{"a handler may use the bus", handlerUsesBus},
		{"request and reply", requestReply},
		{"requests at once", concurrentRequests},
		{"a late reply reaches nobody", lateReply},
		{"carried reply", carriedReply},
		{"no responders to a request", requestNoResponders},
		{"no responders to a publish", publishNoResponders},
		{"request ends with its context", requestContext},
		{"empty data", emptyData},
		{"data ownership", ownership},
		{"maximum payload", maxPayload},
		{"bad subjects", badSubjects},
		{"unsubscribe", unsubscribe},
		{"close", closes},
		{"close waits for handlers", closeWaits},
		{"concurrent use", concurrent},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, b := open(t)
			c.test(t, a, b)
		})
	}
}

// inbox collects messages.
type inbox struct {
	t  *testing.T
	ch chan bus.Msg
}

func collect(t *testing.T, b bus.Bus, pattern, queue string) *inbox {
	t.Helper()
	in := &inbox{t, make(chan bus.Msg, 10_000)}
	subscribe(t, b, pattern, queue, func(m bus.Msg) { in.ch <- m })
	return in
}

func (in *inbox) next() bus.Msg {
	in.t.Helper()
	select {
	case m := <-in.ch:
		return m
	case <-time.After(patience):
		in.t.Fatal("no message came")
		panic("unreachable")
	}
}

func (in *inbox) want(subject, data string) {
	in.t.Helper()
	if m := in.next(); m.Subject != subject || string(m.Data) != data || m.NoResponders {
		in.t.Fatalf("got %+v, want %q on %s", m, data, subject)
	}
}

func (in *inbox) empty() {
	in.t.Helper()
	select {
	case m := <-in.ch:
		in.t.Fatalf("got %+v, want nothing more", m)
	default:
	}
}

func subscribe(t *testing.T, b bus.Bus, pattern, queue string, h bus.Handler) bus.Subscription {
	t.Helper()
	s, err := b.Subscribe(pattern, queue, h)
	if err != nil {
		t.Fatalf("subscribe to %s: %v", pattern, err)
	}
	return s
}

func publish(t *testing.T, b bus.Bus, subject, data string) {
	t.Helper()
	if err := b.Publish(bus.Msg{Subject: subject, Data: []byte(data)}); err != nil {
		t.Fatalf("publish to %s: %v", subject, err)
	}
}

func soon(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func wait(t *testing.T, what string, ch <-chan struct{}) {
	t.Helper()
	select {
	case <-ch:
	case <-time.After(patience):
		t.Fatalf("%s did not happen", what)
	}
}

// settled returns when everything that from published before has been taken in by the network.
func settled(t *testing.T, from bus.Bus) {
	t.Helper()
	if _, err := from.Request(soon(t), "settle.nobody", nil); !errors.Is(err, bus.ErrNoResponders) {
		t.Fatalf("request to nobody: %v", err)
	}
}
