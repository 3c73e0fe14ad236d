package offload

import (
	"context"
	"io"
	"net"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/squall-faas/squall/internal/shm"
	"github.com/squall-faas/squall/internal/wire"
	"github.com/squall-faas/squall/internal/xfer"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

// site is one executor as far as its values go: a hold, the data port that serves it, and a client of others'.
type site struct {
	*Offload
	name   string
	hold   *Hold
	server *xfer.Server
	client *xfer.Client
}

// sent is how many bytes of values have left by the data port; what a reader has is counted a moment later.
func (s *site) sent() int64 {
	for s.server.Stats().Streams > 0 {
		runtime.Gosched()
	}
	return s.server.Stats().Bytes
}

// siteConfig of a site; the zero value is useful.
type siteConfig struct {
	name     string
	store    kvs.Store // nil is an empty one
	bytes    int64     // that it holds
	memory   *shm.Store
	listener net.Listener
	dial     func(context.Context, string, string) (net.Conn, error)
	stall    time.Duration
	source   func(*Hold) xfer.Source // in the place of the hold
	edit     func(*Config)
}

var siteSecret = xfer.Secret{7}

func newSite(t testing.TB, c siteConfig) *site {
	t.Helper()
	if c.store == nil {
		c.store = newCounted(t)
	}
	s := &site{name: c.name}
	var err error
	s.hold, err = NewHold(HoldConfig{Executor: c.name, Namespace: "test", Secret: siteSecret, MaxBytes: c.bytes, Memory: c.memory})
	if err != nil {
		t.Fatal(err)
	}
	var source xfer.Source = s.hold
	if c.source != nil {
		source = c.source(s.hold)
	}
	s.server, err = xfer.NewServer(xfer.ServerConfig{Source: source, Namespace: "test", Secrets: []xfer.Secret{siteSecret}, Listener: c.listener})
	if err != nil {
		t.Fatal(err)
	}
	s.hold.At(s.server.Addr())
	if s.client, err = xfer.NewClient(xfer.ClientConfig{Dial: c.dial, StallTimeout: c.stall}); err != nil {
		t.Fatal(err)
	}
	cfg := Config{Store: c.store, Hold: s.hold, Client: s.client}
	if c.edit != nil {
		c.edit(&cfg)
	}
	if s.Offload, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.client.Close()
		_ = s.server.Close()
		s.hold.Clear()
	})
	return s
}

// gives sends one value to an executor and gives its form in the message.
func (s *site) gives(t testing.TB, to string, v value.Value) wire.Value {
	t.Helper()
	out, err := s.Send(t.Context(), Terms{To: to, Run: "run", TTL: time.Hour}, v)
	if err != nil {
		t.Fatal(err)
	}
	if out[0].Held == nil {
		t.Fatalf("%d bytes leave as %+v, want a reference to what is held", v.Size(), out[0])
	}
	return out[0]
}

// takes checks that what a message says is v here.
func (s *site) takes(t testing.TB, in wire.Value, v value.Value) {
	t.Helper()
	got, err := s.In(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, got, v)
}

func equal(t testing.TB, got, want value.Value) {
	t.Helper()
	k1, b1, err1 := got.Payload()
	k2, b2, err2 := want.Payload()
	if err1 != nil || err2 != nil || k1 != k2 || string(b1) != string(b2) {
		t.Fatalf("%d bytes of kind %v come as %d of kind %v (%v, %v)", len(b2), k2, len(b1), k1, err1, err2)
	}
}

// way is a network between two data ports that a test makes worse. The zero value is a good one.
type way struct {
	dials   atomic.Int64
	bytes   atomic.Int64
	refuse  atomic.Bool
	cutAt   atomic.Int64 // after so many bytes every connection breaks; 0 for never
	flip    atomic.Bool  // one bit of each large read is wrong
	perByte atomic.Int64 // nanoseconds that each takes
}

func (w *way) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	w.dials.Add(1)
	if w.refuse.Load() {
		return nil, &net.OpError{Op: "dial", Err: io.ErrClosedPipe}
	}
	var d net.Dialer
	c, err := d.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return &wayConn{c, w}, nil
}

type wayConn struct {
	net.Conn
	way *way
}

func (c *wayConn) Read(b []byte) (int, error) {
	if at := c.way.cutAt.Load(); at > 0 && c.way.bytes.Load() >= at {
		_ = c.Close()
		return 0, io.ErrUnexpectedEOF
	}
	slow := c.way.perByte.Load()
	if slow > 0 {
		b = b[:min(len(b), 64<<10)]
	}
	n, err := c.Conn.Read(b)
	c.way.bytes.Add(int64(n))
	if n > 1000 && c.way.flip.Load() {
		b[n/2] ^= 16
	}
	if slow > 0 {
		time.Sleep(time.Duration(slow * int64(n))) // it is the slow link
	}
	return n, err
}
