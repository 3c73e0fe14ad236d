package xfer

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/squall-faas/squall/fault"
)

// raw is a connection to a server on which a test writes what it wants.
func raw(t *testing.T, s *Server) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// hear reads one response.
func hear(c net.Conn) (response, []byte, error) {
	_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
	head := make([]byte, responseHead)
	if _, err := io.ReadFull(c, head); err != nil {
		return response{}, nil, err
	}
	r, err := parseResponse(head)
	if err != nil {
		return r, nil, err
	}
	body := make([]byte, r.size)
	if _, err := io.ReadFull(c, body); err != nil {
		return r, nil, err
	}
	if xxhash.Sum64(body) != r.sum {
		return r, nil, errors.New("wrong checksum")
	}
	return r, body, nil
}

// over reports whether the server has closed c.
func over(c net.Conn) bool {
	_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
	_, err := c.Read(make([]byte, 1))
	return err != nil && !errors.Is(err, os.ErrDeadlineExceeded)
}

func asks(key string, offset int64, length int) []byte {
	return (&request{ref: ref(key), capability: right(key), offset: offset, length: length}).append(nil)
}

// poll until what is true.
func poll(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for tick := time.NewTicker(time.Millisecond); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("it is not so that %s", what)
		}
	}
}

// TestProtocol: requests one after the other on one connection, good and bad.
func TestProtocol(t *testing.T) {
	s := serve(t, ServerConfig{Source: shelf{"v": []byte("0123456789"), "w": {}}})
	c := raw(t, s)
	wrong := request{ref: ref("v"), capability: right("w"), length: 1}
	short := asks("v", 0, 1)
	short = append(append([]byte{protocol, opRead, 0, byte(len(short) - requestHead - 1)}, short[requestHead:len(short)-1]...), []byte{}...)
	for _, tc := range []struct {
		name   string
		send   []byte
		status status
		body   string
	}{
		{"a range", asks("v", 2, 3), 0, "234"},
		{"the end", asks("v", 9, 1), 0, "9"},
		{"the size alone", asks("v", 0, 0), 0, ""},
		{"past the end", asks("v", 9, 2), 3, "of a value of 10"},
		{"far past the end", asks("v", 1<<62, 1), 3, "of a value of 10"},
		{"of an empty value", asks("w", 0, 1), 3, "of a value of 0"},
		{"unknown", asks("x", 0, 1), 2, `no value "x" here`},
		{"wrong capability", wrong.append(nil), 1, "not for this value"},
		{"range too long", asks("v", 0, MaxRange+1), 7, "16777217 bytes"},
		{"malformed", short, 3, "capability"},
		{"still a range", asks("v", 0, 10), 0, "0123456789"},
	} {
		if _, err := c.Write(tc.send); err != nil {
			t.Fatal(tc.name, err)
		}
		r, body, err := hear(c)
		if err != nil || r.status != tc.status || r.status == statusOK && string(body) != tc.body || !strings.Contains(string(body), tc.body) {
			t.Errorf("%s: %+v %q, %v", tc.name, r, body, err)
		}
		if r.status == statusOK && r.total != 10 {
			t.Errorf("%s: total %d", tc.name, r.total)
		}
	}
	if _, err := c.Write(append(asks("v", 0, 1), asks("v", 1, 1)...)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"0", "1"} {
		if _, body, err := hear(c); err != nil || string(body) != want {
			t.Errorf("two requests at once: %q, %v, want %q", body, err, want)
		}
	}
	poll(t, "the server has counted all that", func() bool {
		return s.Stats() == ServerStats{Conns: 1, Ranges: 6, Refusals: 7, Bytes: 16}
	})
}

// TestHostileStart: what is no request is refused in words where it can be, and the connection closed. Others go on.
func TestHostileStart(t *testing.T) {
	s := serve(t, ServerConfig{Source: shelf{"v": {1}}})
	witness := raw(t, s)
	for _, tc := range []struct {
		send   string
		status status
		says   string
	}{
		{"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 4, "version 71 of the transfer protocol"},
		{"\x02", 4, "version 2 of the transfer protocol"}, // and nothing more: a later version's request may be shorter
		{"\x01\x04\x00\x00", 4, "operation 4"},
		{"\x01\x01\xff\xff" + strings.Repeat("x", 70000), 7, "65535 bytes"},
	} {
		c := raw(t, s)
		if _, err := io.WriteString(c, tc.send); err != nil {
			t.Fatal(err)
		}
		r, words, err := hear(c)
		if err != nil || r.status != tc.status || !strings.Contains(string(words), tc.says) {
			t.Errorf("%.20q: %+v %q, %v", tc.send, r, words, err)
		}
		if !over(c) {
			t.Errorf("%.20q: the connection goes on", tc.send)
		}
		if _, err := witness.Write(asks("v", 0, 1)); err != nil {
			t.Fatal(err)
		}
		if _, body, err := hear(witness); err != nil || !bytes.Equal(body, []byte{1}) {
			t.Errorf("another peer is disturbed: %v", err)
		}
	}
}

func TestTooManyConnections(t *testing.T) {
	for name, cfg := range map[string]ServerConfig{
		"in all":        {MaxConns: 2},
		"from one host": {MaxConnsPerPeer: 2},
	} {
		t.Run(name, func(t *testing.T) {
			cfg.Source = shelf{"v": {1}}
			s := serve(t, cfg)
			var in []net.Conn
			for range 2 {
				c := raw(t, s)
				in = append(in, c)
				if _, err := c.Write(asks("v", 0, 1)); err != nil {
					t.Fatal(err)
				}
				if _, _, err := hear(c); err != nil {
					t.Fatal(err)
				}
			}
			c := raw(t, s)
			if r, words, err := hear(c); err != nil || r.status != 5 || r.retryAfter == 0 || !strings.Contains(string(words), "connections") {
				t.Errorf("%+v %q, %v", r, words, err)
			}
			if !over(c) {
				t.Error("the connection goes on")
			}
			// At the door there is room for some only; the rest find it shut.
			crowd := make([]net.Conn, 3*atTheDoor)
			for i := range crowd {
				crowd[i] = raw(t, s)
			}
			refused := 0
			for _, c := range crowd {
				if r, _, err := hear(c); err == nil && r.status == 5 {
					refused++
				}
			}
			if refused == 0 {
				t.Error("nobody is refused in words")
			}
			if _, err := in[0].Write(asks("v", 0, 1)); err != nil {
				t.Fatal(err)
			}
			if _, _, err := hear(in[0]); err != nil {
				t.Errorf("who is in is disturbed: %v", err)
			}
			for _, c := range append(crowd, in[1]) {
				_ = c.Close()
			}
			poll(t, "a place is free again", func() bool { return s.Stats().Conns == 1 })
			client := dialer(t, ClientConfig{})
			if err := fetchV(t, client, []byte{1}, s.Addr()); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestClientWaitsItsTurn: a fetch is refused for want of room, and succeeds when there is some.
func TestClientWaitsItsTurn(t *testing.T) {
	s := serve(t, ServerConfig{Source: shelf{"v": {1}}, MaxConns: 1})
	taken := raw(t, s)
	poll(t, "it is in", func() bool { return s.Stats().Conns == 1 })
	result := make(chan error, 1)
	c := dialer(t, ClientConfig{})
	go func() { result <- fetchV(t, c, []byte{1}, s.Addr()) }()
	poll(t, "one is refused", func() bool { return s.Stats().Refusals > 0 })
	_ = taken.Close()
	if err := <-result; err != nil {
		t.Error(err)
	}
}

func TestTooManyStreams(t *testing.T) {
	reached, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	s := serve(t, ServerConfig{MaxStreamsPerPeer: 1, Source: &hooked{shelf: shelf{"v": {1}}, hook: func(context.Context, int) {
		once.Do(func() { close(reached) })
		<-release
	}}})
	first, second := raw(t, s), raw(t, s)
	if _, err := first.Write(asks("v", 0, 1)); err != nil {
		t.Fatal(err)
	}
	<-reached
	if _, err := second.Write(asks("v", 0, 1)); err != nil {
		t.Fatal(err)
	}
	if r, words, err := hear(second); err != nil || r.status != 5 || !strings.Contains(string(words), "1 ranges") {
		t.Errorf("%+v %q, %v", r, words, err)
	}
	close(release)
	if _, _, err := hear(first); err != nil {
		t.Fatal(err)
	}
	poll(t, "the stream is over", func() bool { return s.Stats().Streams == 0 })
	if _, err := second.Write(asks("v", 0, 1)); err != nil {
		t.Fatal(err)
	}
	if r, _, err := hear(second); err != nil || r.status != statusOK {
		t.Errorf("the refused connection does not go on: %+v, %v", r, err)
	}
}

// odd is a Source, and a Blob, that misbehaves.
type odd struct {
	open, view error
	short      bool
	waits      bool
}

func (o odd) Open(ctx context.Context, _ Ref) (Blob, error) {
	if o.waits {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return o, o.open
}
func (o odd) Size() int64 { return 10 }
func (o odd) View(_ int64, n int) ([]byte, error) {
	if o.short {
		n--
	}
	return make([]byte, n), o.view
}

func TestOddSources(t *testing.T) {
	for _, tc := range []struct {
		source odd
		status status
		says   string
	}{
		{odd{open: os.ErrPermission}, 6, "open the value: permission denied"},
		{odd{view: io.ErrUnexpectedEOF}, 6, "unexpected EOF"},
		{odd{open: fault.New(fault.Overloaded, "later")}, 5, "later"},
		{odd{short: true}, 8, "9 bytes of the 10"},
		{odd{waits: true}, 6, "deadline"},
	} {
		s := serve(t, ServerConfig{Source: tc.source, HeaderTimeout: 50 * time.Millisecond})
		c := raw(t, s)
		if _, err := c.Write(asks("v", 0, 10)); err != nil {
			t.Fatal(err)
		}
		if r, words, err := hear(c); err != nil || r.status != tc.status || !strings.Contains(string(words), tc.says) {
			t.Errorf("%+v: %+v %q, %v", tc.source, r, words, err)
		}
	}
}

// TestPatience: how long a server bears with a slow or silent peer. In virtual time.
func TestPatience(t *testing.T) {
	half := asks("v", 0, 1)[:20]
	for _, tc := range []struct {
		name string
		send []byte
		read int // bytes taken of what comes, before the peer does nothing more
		wait time.Duration
	}{
		{"says nothing", nil, 0, 5 * time.Second},
		{"half a head", half[:2], 0, 5 * time.Second},
		{"half a request", half, 0, 5 * time.Second},
		{"idle after one", asks("v", 0, 1), responseHead + 1, time.Minute},
		{"reads no head", asks("v", 0, MaxRange), 0, 10 * time.Second},
		{"reads a part", asks("v", 0, MaxRange), 5 << 20, 10 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			value := make([]byte, MaxRange)
			synctest.Test(t, func(t *testing.T) {
				p := newPipes()
				s := serve(t, ServerConfig{Source: shelf{"v": value}, Listener: p})
				c, err := p.Dial(t.Context(), "", "")
				if err != nil {
					t.Fatal(err)
				}
				if _, err := c.Write(tc.send); err != nil {
					t.Fatal(err)
				}
				if _, err := io.CopyN(io.Discard, c, int64(tc.read)); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				began := time.Now()
				for s.Stats().Conns > 0 && time.Since(began) < 2*tc.wait {
					time.Sleep(time.Second / 2) // virtual
				}
				if took := time.Since(began); took < tc.wait || took > tc.wait+time.Second {
					t.Errorf("let go after %v, want %v", took, tc.wait)
				}
				_ = c.Close()
				_ = s.Close()
			})
		})
	}
}

// TestSlowReaderDisturbsNobody: one peer reads nothing, others get their ranges.
func TestSlowReaderDisturbsNobody(t *testing.T) {
	value := random(8 << 20)
	s := serve(t, ServerConfig{Source: shelf{"v": value}})
	for range 8 {
		if _, err := raw(t, s).Write(asks("v", 0, len(value))); err != nil {
			t.Fatal(err)
		}
	}
	poll(t, "slow readers are being served", func() bool { return s.Stats().Streams == 8 })
	if err := fetchV(t, dialer(t, ClientConfig{}), value, s.Addr()); err != nil {
		t.Error(err)
	}
}

// TestDrain: what is under way is sent to its end, idle connections are closed, and nobody new comes in.
func TestDrain(t *testing.T) {
	value := random(8 << 20)
	reached, release := make(chan struct{}), make(chan struct{})
	s := serve(t, ServerConfig{Source: &hooked{shelf: shelf{"v": value}, hook: func(_ context.Context, n int) {
		if n == 2 {
			close(reached)
			<-release
		}
	}}})
	idle, busy := raw(t, s), raw(t, s)
	if _, err := idle.Write(asks("v", 0, 1)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := hear(idle); err != nil {
		t.Fatal(err)
	}
	if _, err := busy.Write(asks("v", 0, len(value))); err != nil {
		t.Fatal(err)
	}
	<-reached
	short, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Drain(short); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "still being served") {
		t.Error(err)
	}
	if !over(idle) {
		t.Error("the idle connection goes on")
	}
	if c, err := net.Dial("tcp", s.Addr()); err == nil {
		if !over(c) {
			t.Error("a new connection is served")
		}
		_ = c.Close()
	}
	drained := make(chan error, 1)
	go func() { drained <- s.Drain(t.Context()) }()
	close(release)
	if _, body, err := hear(busy); err != nil || !bytes.Equal(body, value) {
		t.Errorf("what was under way: %d bytes, %v", len(body), err)
	}
	if !over(busy) {
		t.Error("the busy connection goes on")
	}
	if err := <-drained; err != nil {
		t.Error(err)
	}
	if err := errors.Join(s.Drain(t.Context()), s.Close(), s.Close()); err != nil {
		t.Error(err)
	}
}

func TestServerConfig(t *testing.T) {
	good := ServerConfig{Source: shelf{}, Secrets: []Secret{testSecret}}
	for _, tc := range []struct {
		edit func(c *ServerConfig)
		says string // "" where it works
		addr string // as announced, PORT for the one that is listened on
	}{
		{func(*ServerConfig) {}, "", "127.0.0.1:PORT"},
		{func(c *ServerConfig) { c.Announce = "node-1" }, "", "node-1:PORT"},
		{func(c *ServerConfig) { c.Announce = "node-1:0" }, "", "node-1:PORT"},
		{func(c *ServerConfig) { c.Announce = "node-1:99" }, "", "node-1:99"},
		{func(c *ServerConfig) { c.Announce, c.Address = "[::1]:7", "0.0.0.0:0" }, "", "[::1]:7"},
		{func(c *ServerConfig) { c.Address = "0.0.0.0:0" }, "Announce", ""},
		{func(c *ServerConfig) { c.Announce = "node-1:x" }, "not an address", ""},
		{func(c *ServerConfig) { c.Announce = ":99" }, "not an address", ""},
		{func(c *ServerConfig) { c.Address = "127.0.0.1:99999" }, "choose an address", ""},
		{func(c *ServerConfig) { c.Source = nil }, "Source", ""},
		{func(c *ServerConfig) { c.Secrets = nil }, "without a secret", ""},
		{func(c *ServerConfig) { c.Secrets = []Secret{{}} }, "zeros", ""},
	} {
		cfg := good
		tc.edit(&cfg)
		s, err := NewServer(cfg)
		if tc.says != "" {
			if !fault.Is(err, fault.InvalidArgument) || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("%v, want invalid_argument that says %q", err, tc.says)
			}
			continue
		}
		if err != nil {
			t.Error(err)
			continue
		}
		_, port, _ := net.SplitHostPort(s.listener.Addr().String())
		if want := strings.ReplaceAll(tc.addr, "PORT", port); s.Addr() != want {
			t.Errorf("announces %s, want %s", s.Addr(), want)
		}
		_ = s.Close()
	}
}

// FuzzSession: whatever a peer sends, the server answers in the protocol, and lets go of the connection in the end.
func FuzzSession(f *testing.F) {
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	f.Add((&request{ref: ref("v"), length: 1}).append(nil))
	f.Add([]byte{protocol, opRead, 0, 1, 0, protocol, opRead, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		synctest.Test(t, func(t *testing.T) {
			p := newPipes()
			s := serve(t, ServerConfig{Source: shelf{"v": {1}}, Listener: p})
			c, err := p.Dial(t.Context(), "", "")
			if err != nil {
				t.Fatal(err)
			}
			sent := make(chan struct{})
			go func() {
				defer close(sent)
				_, _ = c.Write(b)
			}()
			answer, _ := io.ReadAll(c)
			<-sent
			for len(answer) > 0 {
				if len(answer) < responseHead {
					t.Fatalf("%x is no response", answer)
				}
				r, err := parseResponse(answer)
				size := int(binary.BigEndian.Uint32(answer[4:]))
				if err != nil || r.status == statusOK || len(answer) < responseHead+size {
					t.Fatalf("%x gets %+v, %v", b, r, err)
				}
				answer = answer[responseHead+size:]
			}
			_ = s.Close()
		})
	})
}
