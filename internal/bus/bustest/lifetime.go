package bustest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/squall-faas/squall/internal/bus"
)

func unsubscribe(t *testing.T, a, b bus.Bus) {
	release, entered := make(chan struct{}), make(chan struct{}, 10)
	var calls atomic.Int64
	s := subscribe(t, b, "u", "", func(bus.Msg) {
		calls.Add(1)
		entered <- struct{}{}
		<-release
	})
	kept := collect(t, b, "u", "")
	for i := range 5 {
		publish(t, a, "u", fmt.Sprint(i))
	}
	wait(t, "the first handler call", entered)
	for range 2 { // while a call is under way, and again
		if err := s.Unsubscribe(); err != nil {
			t.Fatalf("unsubscribe: %v", err)
		}
	}
	close(release)
	publish(t, a, "u", "5")
	for i := range 6 {
		kept.want("u", fmt.Sprint(i))
	}
	if n := calls.Load(); n != 1 {
		t.Errorf("%d handler calls, want only the one before Unsubscribe", n)
	}
	var self bus.Subscription
	ready, once := make(chan struct{}), make(chan struct{}, 10)
	self = subscribe(t, b, "once", "", func(bus.Msg) {
		<-ready
		_ = self.Unsubscribe()
		once <- struct{}{}
	})
	close(ready)
	publish(t, a, "once", "")
	publish(t, a, "once", "")
	wait(t, "a handler that unsubscribes itself", once)
}

func closes(t *testing.T, a, b bus.Bus) {
	asked := collect(t, b, "pending", "")
	var calls atomic.Int64
	s := subscribe(t, a, "to.a", "", func(bus.Msg) { calls.Add(1) })
	pending := make(chan error, 1)
	ctx := soon(t)
	go func() {
		_, err := a.Request(ctx, "pending", nil)
		pending <- err
	}()
	asked.next()
	for range 2 {
		if err := a.Close(); err != nil {
			t.Fatalf("close: %v", err)
		}
	}
	if err := <-pending; !errors.Is(err, bus.ErrClosed) {
		t.Errorf("request under way: %v, want closed", err)
	}
	if err := a.Publish(bus.Msg{Subject: "x"}); !errors.Is(err, bus.ErrClosed) {
		t.Errorf("publish: %v, want closed", err)
	}
	if _, err := a.Request(ctx, "x", nil); !errors.Is(err, bus.ErrClosed) {
		t.Errorf("request: %v, want closed", err)
	}
	if _, err := a.Subscribe("x", "", func(bus.Msg) {}); !errors.Is(err, bus.ErrClosed) {
		t.Errorf("subscribe: %v, want closed", err)
	}
	if err := s.Unsubscribe(); err != nil {
		t.Errorf("unsubscribe: %v", err)
	}
	if a.MaxPayload() <= 0 {
		t.Errorf("maximum payload %d", a.MaxPayload())
	}
	// The other connection goes on, and finds nobody there, once the network has seen that the first is gone.
	for {
		short, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
		_, err := b.Request(short, "to.a", nil)
		cancel()
		if errors.Is(err, bus.ErrNoResponders) {
			break
		}
		if ctx.Err() != nil {
			t.Fatalf("request to the closed one: %v, want no responders", err)
		}
	}
	if calls.Load() != 0 {
		t.Errorf("%d handler calls after Close", calls.Load())
	}
}

func closeWaits(t *testing.T, a, b bus.Bus) {
	entered, release := make(chan struct{}), make(chan struct{})
	var left atomic.Bool
	subscribe(t, b, "w", "", func(bus.Msg) {
		close(entered)
		<-release
		left.Store(true)
	})
	publish(t, a, "w", "")
	wait(t, "the handler call", entered)
	closed := make(chan struct{})
	go func() {
		if err := b.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		if !left.Load() {
			t.Error("Close returned while a handler was running")
		}
		close(closed)
	}()
	// Whether Close has begun cannot be seen from outside: let it refuse first.
	for deadline := time.Now().Add(patience); !errors.Is(b.Publish(bus.Msg{Subject: "x"}), bus.ErrClosed); {
		if time.Now().After(deadline) {
			t.Fatal("a closing bus still publishes")
		}
	}
	close(release)
	wait(t, "the end of Close", closed)
}

func concurrent(t *testing.T, a, b bus.Bus) {
	const workers, rounds = 8, 40
	subscribe(t, b, "c.echo", "q", func(m bus.Msg) { _ = b.Publish(bus.Msg{Subject: m.Reply, Data: m.Data}) })
	subscribe(t, a, "c.echo", "q", func(m bus.Msg) { _ = a.Publish(bus.Msg{Subject: m.Reply, Data: m.Data}) })
	ctx := soon(t)
	var all sync.WaitGroup
	for w := range workers {
		on := []bus.Bus{a, b}[w%2]
		all.Go(func() {
			subject := fmt.Sprintf("c.own.%d", w)
			for i := range rounds {
				got := make(chan string, 1)
				s, err := on.Subscribe(subject, "", func(m bus.Msg) { got <- string(m.Data) })
				if err != nil {
					t.Errorf("subscribe: %v", err)
					return
				}
				want := fmt.Sprint(w, i)
				if err := on.Publish(bus.Msg{Subject: subject, Data: []byte(want)}); err != nil {
					t.Errorf("publish: %v", err)
				}
				select {
				case g := <-got:
					if g != want {
						t.Errorf("got %q, want %q", g, want)
					}
				case <-ctx.Done():
					t.Error("no message came")
				}
				if err := s.Unsubscribe(); err != nil {
					t.Errorf("unsubscribe: %v", err)
				}
				if g, err := on.Request(ctx, "c.echo", []byte(want)); err != nil || string(g) != want {
					t.Errorf("request: got %q, %v; want %q", g, err, want)
				}
			}
		})
	}
	all.Wait()
}
