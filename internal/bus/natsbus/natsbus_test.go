package natsbus_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/goleak"

	"github.com/squall-faas/squall/internal/bus"
	"github.com/squall-faas/squall/internal/bus/bustest"
	"github.com/squall-faas/squall/internal/bus/natsbus"
	"github.com/squall-faas/squall/internal/natsconn"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds waits that end at once unless something is broken.
const patience = 20 * time.Second

func serve(t testing.TB, o natsconn.ServerOptions) *natsconn.Server {
	t.Helper()
	o.NoJetStream = true
	s, err := natsconn.Embed(o)
	if err != nil {
		t.Fatalf("embed: %v", err)
	}
	t.Cleanup(s.Shutdown)
	return s
}

func dial(t testing.TB, d func(context.Context, natsconn.Options) (*nats.Conn, error), o natsconn.Options) *nats.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, err := d(ctx, o)
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	t.Cleanup(c.Close)
	return c
}

func newBus(t testing.TB, c *nats.Conn, owns bool) *natsbus.Bus {
	t.Helper()
	b := natsbus.New(c, owns)
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return b
}

func TestConformance(t *testing.T) {
	s := serve(t, natsconn.ServerOptions{Listen: "127.0.0.1:0"})
	for name, open := range map[string]func(t *testing.T) (a, b bus.Bus){
		"in process": func(t *testing.T) (a, b bus.Bus) {
			return newBus(t, dial(t, s.Dial, natsconn.Options{}), true), newBus(t, dial(t, s.Dial, natsconn.Options{}), true)
		},
		"tcp": func(t *testing.T) (a, b bus.Bus) {
			o := natsconn.Options{URL: s.URL(), InboxPrefix: "squall.test.reply"}
			return newBus(t, dial(t, natsconn.Dial, o), true), newBus(t, dial(t, natsconn.Dial, o), true)
		},
		"borrowed": func(t *testing.T) (a, b bus.Bus) {
			return newBus(t, dial(t, s.Dial, natsconn.Options{}), false), newBus(t, dial(t, s.Dial, natsconn.Options{}), false)
		},
	} {
		t.Run(name, func(t *testing.T) { bustest.Run(t, open) })
	}
}

func TestCloseLeavesABorrowedConnection(t *testing.T) {
	s := serve(t, natsconn.ServerOptions{})
	c := dial(t, s.Dial, natsconn.Options{})
	if err := natsbus.New(c, false).Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	if err := c.Flush(); err != nil {
		t.Fatalf("the connection is gone: %v", err)
	}
	if err := natsbus.New(c, true).Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	if !c.IsClosed() {
		t.Fatal("the connection is left open")
	}
}

func TestReconnect(t *testing.T) {
	s := serve(t, natsconn.ServerOptions{Listen: "127.0.0.1:0"})
	o := natsconn.Options{URL: s.URL()}
	a, b := newBus(t, dial(t, natsconn.Dial, o), true), newBus(t, dial(t, natsconn.Dial, o), true)
	back := make(chan struct{}, 10)
	for _, x := range []*natsbus.Bus{a, b} {
		x.OnReconnect(func() { back <- struct{}{} })
	}
	if _, err := b.Subscribe("echo", "", func(m bus.Msg) { _ = b.Publish(bus.Msg{Subject: m.Reply, Data: m.Data}) }); err != nil {
		t.Fatalf("subscribe: %v", err)
	}
	s.Shutdown()
	serve(t, natsconn.ServerOptions{Listen: strings.TrimPrefix(s.URL(), "nats://")})
	for range 2 {
		select {
		case <-back:
		case <-time.After(patience):
			t.Fatal("OnReconnect did not run")
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if got, err := a.Request(ctx, "echo", []byte("again")); err != nil || string(got) != "again" {
		t.Fatalf("request after the reconnect: %q, %v", got, err)
	}
}

func TestConnectionClosedByOthers(t *testing.T) {
	s := serve(t, natsconn.ServerOptions{})
	c := dial(t, s.Dial, natsconn.Options{})
	b := newBus(t, c, false)
	if _, err := b.Subscribe("x", "", func(bus.Msg) {}); err != nil {
		t.Fatalf("subscribe: %v", err)
	}
	c.Close()
	if err := b.Publish(bus.Msg{Subject: "x"}); !errors.Is(err, bus.ErrClosed) {
		t.Errorf("publish: %v, want closed", err)
	}
	if _, err := b.Subscribe("y", "", func(bus.Msg) {}); !errors.Is(err, bus.ErrClosed) {
		t.Errorf("subscribe: %v, want closed", err)
	}
}

func BenchmarkRequestInProcess(b *testing.B) {
	s := serve(b, natsconn.ServerOptions{})
	from, to := newBus(b, dial(b, s.Dial, natsconn.Options{}), true), newBus(b, dial(b, s.Dial, natsconn.Options{}), true)
	if _, err := to.Subscribe("echo", "", func(m bus.Msg) { _ = to.Publish(bus.Msg{Subject: m.Reply, Data: m.Data}) }); err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	data := make([]byte, 128)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := from.Request(ctx, "echo", data); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPublishInProcess(b *testing.B) {
	s := serve(b, natsconn.ServerOptions{})
	from, to := newBus(b, dial(b, s.Dial, natsconn.Options{}), true), newBus(b, dial(b, s.Dial, natsconn.Options{}), true)
	got := make(chan struct{}, 1024) // also the window: the publisher waits for those it sent 1,024 messages ago
	if _, err := to.Subscribe("sink", "", func(bus.Msg) { <-got }); err != nil {
		b.Fatal(err)
	}
	data := make([]byte, 128)
	b.ReportAllocs()
	for b.Loop() {
		got <- struct{}{}
		if err := from.Publish(bus.Msg{Subject: "sink", Data: data}); err != nil {
			b.Fatal(err)
		}
	}
}
