package xfer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/squall-faas/squall/fault"
)

// hooked is a Source that calls hook before each Open, with its number from 1.
type hooked struct {
	shelf
	opens atomic.Int32
	hook  func(ctx context.Context, n int)
}

func (h *hooked) Open(ctx context.Context, ref Ref) (Blob, error) {
	if n := int(h.opens.Add(1)); h.hook != nil {
		h.hook(ctx, n)
	}
	return h.shelf.Open(ctx, ref)
}

func fetchV(t *testing.T, c *Client, value []byte, addrs ...string) error {
	t.Helper()
	got, err := c.Fetch(t.Context(), addrs, ref("v"), right("v"), int64(len(value)))
	if err == nil && !bytes.Equal(got, value) {
		t.Fatalf("%d bytes arrive as %d others", len(value), len(got))
	}
	return err
}

func TestRoundTrip(t *testing.T) {
	values := shelf{}
	var addrs []string
	for range 3 {
		addrs = append(addrs, serve(t, ServerConfig{Source: values}).Addr())
	}
	sizes := []int{0, 1, 2, 4095, minMeasured, wholeBelow, wholeBelow + 1, 1<<20 + 1, 5<<20 - 1, 64 << 20}
	for _, size := range sizes {
		values[fmt.Sprint(size)] = random(size)
	}
	for _, peers := range []int{1, 3} {
		c := dialer(t, ClientConfig{})
		for _, size := range sizes {
			key := fmt.Sprint(size)
			got, err := c.Fetch(t.Context(), addrs[:peers], ref(key), right(key), int64(size))
			if err != nil || !bytes.Equal(got, values[key]) {
				t.Errorf("%d bytes from %d peers arrive as %d, %v", size, peers, len(got), err)
			}
		}
		links := c.Links()
		if len(links) != peers {
			t.Fatalf("%d links to %d peers", len(links), peers)
		}
		var total int64
		for _, l := range links {
			total += l.Bytes
			if l.Bytes == 0 || l.Seconds <= 0 || l.RTT <= 0 || !slices.Contains(addrs, l.Addr) {
				t.Errorf("link %+v", l)
			}
		}
		want := int64(0)
		for _, size := range sizes {
			if size >= minMeasured {
				want += int64(size)
			}
		}
		if total < want-3*minMeasured { // short ends are not counted; it is more where a range was taken over
			t.Errorf("links carried %d bytes of %d", total, want)
		}
	}
}

func TestFetchInto(t *testing.T) {
	value := random(3 << 20)
	addr := serve(t, ServerConfig{Source: shelf{"v": value}}).Addr()
	c := dialer(t, ClientConfig{})
	stripe := make([]byte, len(value)+2)
	if err := c.FetchInto(t.Context(), stripe[1:len(value)+1], []string{addr}, ref("v"), right("v")); err != nil {
		t.Fatal(err)
	}
	if stripe[0] != 0 || stripe[len(value)+1] != 0 || !bytes.Equal(stripe[1:len(value)+1], value) {
		t.Error("not the value, or not in its place")
	}
	if err := c.FetchInto(t.Context(), nil, []string{addr}, ref("v"), right("v")); err != nil {
		t.Error(err)
	}
}

// TestPeerDies: a server goes away in the middle of a value; what is missing comes from another.
func TestPeerDies(t *testing.T) {
	value := random(16 << 20)
	var dying *Server
	closed := make(chan struct{})
	source := &hooked{shelf: shelf{"v": value}, hook: func(ctx context.Context, n int) {
		if n == 4 {
			go func() {
				defer close(closed)
				_ = dying.Close()
			}()
		}
		if n >= 4 {
			<-ctx.Done()
		}
	}}
	sound := &hooked{shelf: shelf{"v": value}, hook: func(ctx context.Context, n int) {
		if n >= 4 { // some are left for the dying one
			select {
			case <-closed:
			case <-ctx.Done():
			}
		}
	}}
	dying = serve(t, ServerConfig{Source: source})
	other := serve(t, ServerConfig{Source: sound})
	if err := fetchV(t, dialer(t, ClientConfig{}), value, dying.Addr(), other.Addr()); err != nil {
		t.Fatal(err)
	}
	<-closed
	// Three were served before, and up to three more may slip out while the dying server closes.
	if n := sound.opens.Load(); n < 16-6 || n > 16 {
		t.Errorf("the sound peer was asked for %d of 16 ranges", n)
	}
}

// TestTrouble: connections to one of two peers break, stall or send wrong bytes, in the head or in the middle.
func TestTrouble(t *testing.T) {
	value := random(16 << 20)
	for name, kind := range map[string]trouble{"cut": cut, "stall": stall, "flip": flip} {
		for _, after := range []int64{0, 10, responseHead + 100, 700 << 10} {
			t.Run(fmt.Sprintf("%s after %d", name, after), func(t *testing.T) {
				bad := serve(t, ServerConfig{Source: shelf{"v": value}})
				good := serve(t, ServerConfig{Source: shelf{"v": value}})
				c := dialer(t, ClientConfig{Dial: troubled(bad.Addr(), kind, after)})
				if err := fetchV(t, c, value, bad.Addr(), good.Addr()); err != nil {
					t.Fatal(err)
				}
				if served := good.Stats().Bytes; served < int64(len(value))/2 {
					t.Errorf("the good peer served %d bytes", served)
				}
			})
		}
	}
}

// TestTroubleAlone: the only peer is in trouble for good, and the error says who and what.
func TestTroubleAlone(t *testing.T) {
	value := random(16 << 20)
	for _, tc := range []struct {
		kind trouble
		says string
	}{
		{cut, "broke off after 307200 bytes of bytes"},
		{stall, "stalled after 307200 bytes of bytes"},
		{flip, "wrong bytes"},
	} {
		s := serve(t, ServerConfig{Source: shelf{"v": value}})
		after := int64(responseHead + 300<<10)
		c := dialer(t, ClientConfig{Dial: troubled(s.Addr(), tc.kind, after), StallTimeout: 50 * time.Millisecond})
		err := fetchV(t, c, value, s.Addr())
		if !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), tc.says) || !strings.Contains(err.Error(), "peer "+s.Addr()) {
			t.Errorf("%v, want unavailable of %s that says %q", err, s.Addr(), tc.says)
		}
	}
}

// TestOnlyWhatIsMissing: after a cut, ranges that have come are not asked for again.
func TestOnlyWhatIsMissing(t *testing.T) {
	value := random(32 << 20)
	source := &hooked{shelf: shelf{"v": value}}
	s := serve(t, ServerConfig{Source: source})
	var dials atomic.Int32
	c := dialer(t, ClientConfig{Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
		if dials.Add(1) == 1 {
			return troubled(s.Addr(), cut, 5<<20+100)(ctx, network, addr)
		}
		return (&net.Dialer{}).DialContext(ctx, network, addr)
	}})
	if err := fetchV(t, c, value, s.Addr()); err != nil {
		t.Fatal(err)
	}
	if n := source.opens.Load(); n != 33 {
		t.Errorf("32 ranges, of which one was cut, took %d requests", n)
	}
}

func TestCancel(t *testing.T) {
	value := random(32 << 20)
	reached := make(chan struct{})
	s := serve(t, ServerConfig{Source: &hooked{shelf: shelf{"v": value}, hook: func(ctx context.Context, n int) {
		if n == 5 {
			close(reached)
		}
		if n >= 5 {
			<-ctx.Done()
		}
	}}})
	c := dialer(t, ClientConfig{})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-reached
		cancel()
	}()
	_, err := c.Fetch(ctx, []string{s.Addr()}, ref("v"), right("v"), int64(len(value)))
	if !fault.Is(err, fault.Cancelled) || !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, err := c.Fetch(ctx, []string{s.Addr()}, ref("v"), right("v"), 1); !fault.Is(err, fault.Cancelled) {
		t.Error(err)
	}
}

// TestClientClose ends what is under way and waits for it.
func TestClientClose(t *testing.T) {
	reached := make(chan struct{})
	s := serve(t, ServerConfig{Source: &hooked{shelf: shelf{"v": {1}}, hook: func(ctx context.Context, _ int) {
		close(reached)
		<-ctx.Done()
	}}})
	c := dialer(t, ClientConfig{})
	result := make(chan error, 1)
	go func() {
		_, err := c.Fetch(t.Context(), []string{s.Addr()}, ref("v"), right("v"), 1)
		result <- err
	}()
	<-reached
	c.Close()
	c.Close()
	if err := <-result; !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "shutting down") {
		t.Error(err)
	}
	if err := fetchV(t, c, []byte{1}, s.Addr()); !fault.Is(err, fault.Unavailable) {
		t.Error(err)
	}
}

func TestFetchRefused(t *testing.T) {
	has := serve(t, ServerConfig{Source: shelf{"v": {1, 2, 3}}}).Addr()
	hasNot := serve(t, ServerConfig{Source: shelf{}}).Addr()
	gone := serve(t, ServerConfig{Source: shelf{}})
	_ = gone.Close()
	c := dialer(t, ClientConfig{Budget: 1 << 20})
	expired := testSecret.Mint("test", ref("v"), time.Now().Add(-time.Second))
	for _, tc := range []struct {
		name  string
		addrs []string
		ref   Ref
		cap   Capability
		size  int64
		code  fault.Code
		says  string
	}{
		{"one has it", []string{hasNot, gone.Addr(), has}, ref("v"), right("v"), 3, "", ""},
		{"twice the same", []string{has, has, ""}, ref("v"), right("v"), 3, "", ""},
		{"nobody has it", []string{hasNot}, ref("v"), right("v"), 3, fault.NotFound, "peer " + hasNot + `: no value "v" here`},
		{"gone", []string{gone.Addr()}, ref("v"), right("v"), 3, fault.Unreachable, "peer " + gone.Addr()},
		{"gone or without", []string{gone.Addr(), hasNot}, ref("v"), right("v"), 3, fault.Unreachable, hasNot},
		{"expired", []string{has}, ref("v"), expired, 3, fault.Unauthorized, "expired at"},
		{"for another", []string{has, hasNot}, ref("v"), right("w"), 3, fault.Unauthorized, "not for this value"},
		{"none", []string{has}, ref("v"), nil, 3, fault.Unauthorized, "0 bytes"},
		{"a large one", []string{has}, ref("v"), make(Capability, 300), 3, fault.InvalidArgument, "300 bytes"},
		{"other size", []string{has}, ref("v"), right("v"), 4, fault.InvalidArgument, "within it"},
		{"other size", []string{has}, ref("v"), right("v"), 2, fault.InvalidArgument, "has 3 bytes, not 2"},
		{"no size", []string{has}, ref("v"), right("v"), -1, fault.InvalidArgument, "-1 bytes"},
		{"too large", []string{has}, ref("v"), right("v"), 1<<20 + 1, fault.TooLarge, "Budget"},
		{"nobody", nil, ref("v"), right("v"), 3, fault.InvalidArgument, "at least one"},
		{"no key", []string{has}, Ref{}, right("v"), 3, fault.InvalidArgument, "no key"},
	} {
		_, err := c.Fetch(t.Context(), tc.addrs, tc.ref, tc.cap, tc.size)
		if fault.CodeOf(err) != tc.code || err != nil && !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v, want %q that says %q", tc.name, err, tc.code, tc.says)
		}
	}
}

// TestServerRestarts: connections that were kept are dead; nobody notices.
func TestServerRestarts(t *testing.T) {
	value := random(4 << 20)
	s := serve(t, ServerConfig{Source: shelf{"v": value}})
	c := dialer(t, ClientConfig{})
	if err := fetchV(t, c, value, s.Addr()); err != nil {
		t.Fatal(err)
	}
	_ = s.Close()
	serve(t, ServerConfig{Source: shelf{"v": value}, Address: s.Addr()})
	if err := fetchV(t, c, value, s.Addr()); err != nil {
		t.Error(err)
	}
}

// TestBudget: fetches wait until there is room for them.
func TestBudget(t *testing.T) {
	value := random(1 << 20)
	s := serve(t, ServerConfig{Source: shelf{"v": value}})
	c := dialer(t, ClientConfig{Budget: 2 << 20, ConnsPerPeer: 100})
	results := make(chan error)
	for range 16 {
		go func() {
			dst := make([]byte, len(value))
			results <- c.FetchInto(t.Context(), dst, []string{s.Addr()}, ref("v"), right("v"))
		}()
	}
	for range 16 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	if conns := s.Stats().Conns; conns > 2*3 {
		t.Errorf("two fetches at a time opened %d connections", conns)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if err := c.budget.Acquire(ctx, 2<<20); err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := c.Fetch(ctx, []string{s.Addr()}, ref("v"), right("v"), 1); !fault.Is(err, fault.Cancelled) {
		t.Error(err)
	}
	c.budget.Release(2 << 20)
}

// TestTricklingPeer: a peer that sends a little again and again makes no progress that counts. In virtual time.
func TestTricklingPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPipes()
		served := make(chan struct{})
		go func() {
			defer close(served)
			var conns sync.WaitGroup
			defer conns.Wait()
			for {
				conn, err := p.Accept()
				if err != nil {
					return
				}
				conns.Go(func() {
					head := response{size: 512 << 10, total: 1 << 20}
					b := make([]byte, 256)
					_, _ = conn.Read(b)
					_, err := conn.Write(head.append(nil))
					for ; err == nil; time.Sleep(time.Second) { // virtual
						_, err = conn.Write(b)
					}
					_ = conn.Close()
				})
			}
		}()
		c := dialer(t, ClientConfig{Dial: p.Dial})
		began := time.Now()
		err := c.FetchInto(t.Context(), make([]byte, 1<<20), []string{"memory"}, ref("v"), right("v"))
		if took := time.Since(began); !fault.Is(err, fault.Unavailable) || took < 15*time.Second || took > 20*time.Second {
			t.Errorf("%v after %v, want it to be given up after three stalls of 5 s", err, took)
		}
		c.Close()
		_ = p.Close()
		<-served
	})
}

func TestClientConfig(t *testing.T) {
	for _, size := range []int64{-1, MaxRange + 1, math.MaxInt64} {
		if _, err := NewClient(ClientConfig{RangeSize: size}); !fault.Is(err, fault.InvalidArgument) {
			t.Errorf("ranges of %d bytes: %v", size, err)
		}
	}
}
