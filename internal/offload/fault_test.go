package offload

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/wire"
	"github.com/squall-faas/squall/internal/xfer"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

// lateStore is a store that says when it is read: by then the data ports have failed.
type lateStore struct {
	*counted
	read func()
}

func (s *lateStore) Get(ctx context.Context, key kvs.Key) (kvs.Entry, error) {
	s.read()
	return s.counted.Get(ctx, key)
}

// TestHolderDies in the middle of a transfer: another holder gives the rest, or the store has a copy, or the value is
// unavailable; it is never another one.
func TestHolderDies(t *testing.T) {
	v := sized(16 << 20)
	const after = 3 << 20
	t.Run("nobody else", func(t *testing.T) {
		var w way
		w.cutAt.Store(after)
		a, b := newSite(t, siteConfig{name: "a"}), newSite(t, siteConfig{name: "b", dial: w.dial})
		_, err := b.In(t.Context(), a.gives(t, "b", v))
		wantCode(t, err, fault.Unavailable)
		if w.bytes.Load() < after {
			t.Errorf("it broke after %d bytes", w.bytes.Load())
		}
	})
	t.Run("a copy in the store", func(t *testing.T) {
		store := newCounted(t)
		var w way
		w.cutAt.Store(after)
		a, b := newSite(t, siteConfig{name: "a", store: store}), newSite(t, siteConfig{name: "b", store: store, dial: w.dial})
		m := a.gives(t, "b", v)
		if _, err := a.Evacuate(t.Context()); err != nil {
			t.Fatal(err)
		}
		b.takes(t, m, v)
	})
	t.Run("another holder", func(t *testing.T) {
		var w way // to a only
		a, b := newSite(t, siteConfig{name: "a"}), newSite(t, siteConfig{name: "b"})
		c := newSite(t, siteConfig{name: "c", dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if addr == a.server.Addr() {
				return w.dial(ctx, network, addr)
			}
			return (&net.Dialer{}).DialContext(ctx, network, addr)
		}})
		m := a.gives(t, "b", v)
		got, err := b.In(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		w.cutAt.Store(after)
		m.Held.Others = []string{b.server.Addr()}
		c.takes(t, m, v)
		equal(t, got, v)
		if n := b.server.Stats().Bytes; n == 0 {
			t.Errorf("the other has given %d bytes", n)
		}
	})
}

// TestGoesOn: a connection that breaks is made anew, and what has come is not fetched again.
func TestGoesOn(t *testing.T) {
	v := sized(32 << 20)
	var w way
	a := newSite(t, siteConfig{name: "a"})
	var once sync.Once
	b := newSite(t, siteConfig{name: "b", dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := w.dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		once.Do(func() { c = &breaks{Conn: c, left: 5<<20 + 1000} })
		return c, nil
	}})
	b.takes(t, a.gives(t, "b", v), v)
	if sent := w.bytes.Load(); sent > 34<<20 {
		t.Errorf("%d bytes have come of a value of %d: more than one range again", sent, 32<<20)
	}
}

// breaks is a connection that breaks after so many bytes.
type breaks struct {
	net.Conn
	left int
}

func (c *breaks) Read(b []byte) (int, error) {
	if c.left <= 0 {
		_ = c.Close()
		return 0, io.ErrUnexpectedEOF
	}
	n, err := c.Conn.Read(b[:min(len(b), c.left)])
	c.left -= n
	return n, err
}

// TestDamagedOnTheWay: bytes that are wrong on the way do not arrive.
func TestDamagedOnTheWay(t *testing.T) {
	var w way
	w.flip.Store(true)
	a, b := newSite(t, siteConfig{name: "a"}), newSite(t, siteConfig{name: "b", dial: w.dial})
	m := a.gives(t, "b", sized(4<<20))
	_, err := b.In(t.Context(), m)
	wantCode(t, err, fault.Unavailable)
	w.flip.Store(false)
	b.takes(t, m, sized(4<<20))
}

// liar serves other bytes under every reference, and knows their checksums.
type liar struct{ data []byte }

func (l liar) Open(context.Context, xfer.Ref) (xfer.Blob, error) { return xfer.Bytes(l.data), nil }

// TestHolderLies: what another holder gives for the value and is not is found out, and the producer asked alone.
func TestHolderLies(t *testing.T) {
	v := sized(4 << 20)
	wrong := make([]byte, 4<<20)
	a, c := newSite(t, siteConfig{name: "a"}), newSite(t, siteConfig{name: "c"})
	b := newSite(t, siteConfig{name: "b", source: func(*Hold) xfer.Source { return liar{wrong} }})
	m := a.gives(t, "c", v)
	m.Held.Others = []string{b.server.Addr()}
	c.takes(t, m, v)
	if b.server.Stats().Ranges == 0 {
		t.Error("the other was not asked")
	}
}

// endless is a data port that announces a range and then never ends it.
func endless(t *testing.T, drip time.Duration) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	stop := make(chan struct{})
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer func() { _ = c.Close() }()
				head := make([]byte, 4)
				if _, err := io.ReadFull(c, head); err != nil {
					return
				}
				body := make([]byte, binary.BigEndian.Uint16(head[2:]))
				if _, err := io.ReadFull(c, body); err != nil {
					return
				}
				length := binary.BigEndian.Uint32(body[8:])
				answer := binary.BigEndian.AppendUint32([]byte{1, 0, 0, 0}, length)
				answer = binary.BigEndian.AppendUint64(answer, 4<<20)
				answer = binary.BigEndian.AppendUint64(answer, 0)
				_, _ = c.Write(answer)
				for {
					select {
					case <-stop:
						return
					case <-time.After(drip):
					}
					if _, err := c.Write([]byte{0}); err != nil {
						return
					}
				}
			})
		}
	})
	t.Cleanup(func() {
		close(stop)
		_ = l.Close()
		all.Wait()
	})
	return l
}

// TestNeverEnds: a sender that lets its bytes drip for ever is given up.
func TestNeverEnds(t *testing.T) {
	l := endless(t, time.Millisecond)
	a := newSite(t, siteConfig{name: "a"})
	b := newSite(t, siteConfig{name: "b", stall: 50 * time.Millisecond})
	m := a.gives(t, "b", sized(4<<20))
	m.Held.Port = l.Addr().String()
	_, err := b.In(t.Context(), m)
	wantCode(t, err, fault.Unavailable)
}

// TestCancelled in the middle of a transfer: In returns, and nothing is left behind (TestMain).
func TestCancelled(t *testing.T) {
	l := endless(t, time.Millisecond)
	a, b := newSite(t, siteConfig{name: "a"}), newSite(t, siteConfig{name: "b"})
	m := a.gives(t, "b", sized(4<<20))
	m.Held.Port = l.Addr().String()
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(30*time.Millisecond, cancel)
	began := time.Now()
	_, err := b.In(ctx, m)
	wantCode(t, err, fault.Cancelled)
	if took := time.Since(began); took > 3*time.Second { // the stall timeout is longer
		t.Errorf("it took %v", took)
	}
	_, err = b.InAll(ctx, []wire.Value{m, m})
	wantCode(t, err, fault.Cancelled)
}

// TestSlowsDown: a link slows down in the middle of a transfer, and another holder takes over what is left.
func TestSlowsDown(t *testing.T) {
	v := sized(24 << 20)
	var w way
	a, b := newSite(t, siteConfig{name: "a"}), newSite(t, siteConfig{name: "b"})
	c := newSite(t, siteConfig{name: "c", dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := w.dial(ctx, network, addr)
		if err == nil && addr == a.server.Addr() {
			return &slows{Conn: conn, fast: 2 << 20}, nil
		}
		return conn, err
	}})
	m := a.gives(t, "b", v)
	got, err := b.In(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	m.Held.Others = []string{b.server.Addr()}
	c.takes(t, m, v)
	equal(t, got, v)
	if from := b.server.Stats().Bytes; from < 12<<20 {
		t.Errorf("the other holder has given only %d bytes", from)
	}
}

// slows is a connection that is fast at first and then nearly stands.
type slows struct {
	net.Conn
	fast int
}

func (c *slows) Read(b []byte) (int, error) {
	if c.fast <= 0 {
		time.Sleep(20 * time.Millisecond) // the link, not the test
		b = b[:min(len(b), 1000)]
	}
	n, err := c.Conn.Read(b)
	c.fast -= n
	return n, err
}

// TestStoreIsSlow: a run that ends while the store is asked for a copy does not wait for it.
func TestStoreIsSlow(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	store := &lateStore{counted: newCounted(t), read: cancel}
	a, b := newSite(t, siteConfig{name: "a"}), newSite(t, siteConfig{name: "b", store: store})
	m := a.gives(t, "b", value.MustOf(bytes.Repeat([]byte{1}, 1<<20)))
	a.hold.Release("run")
	_, err := b.In(ctx, m)
	wantCode(t, err, fault.Cancelled)
}
