package xfer

import (
	"context"
	"errors"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/squall-faas/squall/fault"
)

// Server is a node's data port: it serves the values of its Source to peers. Safe for concurrent use.
type Server struct {
	cfg      ServerConfig
	listener net.Listener
	address  string
	crowd    *crowd
	stats    counters
	stop     context.CancelFunc
	done     sync.WaitGroup

	mu       sync.Mutex // guards what follows
	sessions map[*session]bool
	draining bool
	empty    chan struct{} // closed when draining and the last session is over
}

// counters of a Server.
type counters struct {
	ranges, refusals, bytes atomic.Int64
}

// ServerStats are what a Server has done so far.
type ServerStats struct {
	Conns    int   // open now
	Streams  int   // ranges under way now
	Ranges   int64 // sent whole
	Refusals int64 // requests and connections that were refused
	Bytes    int64 // of values, sent
}

// NewServer listens. Close ends it.
func NewServer(cfg ServerConfig) (*Server, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	s := &Server{
		cfg: cfg, listener: cfg.Listener, stop: stop,
		crowd:    newCrowd(cfg.MaxConns, cfg.MaxConnsPerPeer, cfg.MaxStreamsPerPeer),
		sessions: map[*session]bool{}, empty: make(chan struct{}),
	}
	if s.listener == nil {
		var lc net.ListenConfig
		var err error
		if s.listener, err = lc.Listen(ctx, "tcp", cfg.Address); err != nil {
			stop()
			return nil, fault.New(fault.InvalidArgument, "listen on %s for peers: %w; choose an address of this machine and a free port", cfg.Address, err)
		}
	}
	var err error
	if s.address, err = announced(cfg.Announce, s.listener.Addr()); err != nil {
		stop()
		_ = s.listener.Close() // nobody has seen it
		return nil, err
	}
	s.done.Go(func() { s.accept(ctx) })
	return s, nil
}

// announced is the address that peers shall dial.
func announced(announce string, listening net.Addr) (string, error) {
	host, port, err := net.SplitHostPort(listening.String())
	if err != nil { // a listener that is not TCP
		host, port = listening.String(), ""
	}
	if announce == "" {
		if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
			return "", fault.New(fault.InvalidArgument, "the data port listens on all addresses (%s): say in Announce which one peers shall dial", listening)
		}
		if port == "" {
			return host, nil
		}
		return net.JoinHostPort(host, port), nil
	}
	toldHost, toldPort, err := net.SplitHostPort(announce)
	if err != nil {
		toldHost, toldPort = announce, ""
	}
	if toldPort == "" || toldPort == "0" {
		toldPort = port
	}
	if n, err := strconv.Atoi(toldPort); toldHost == "" || err != nil || n < 1 || n > 65535 {
		return "", fault.New(fault.InvalidArgument, "%q is not an address to announce: give a host, or host:port", announce)
	}
	return net.JoinHostPort(toldHost, toldPort), nil
}

// Addr is what to announce to peers: host:port.
func (s *Server) Addr() string { return s.address }

// Stats of now.
func (s *Server) Stats() ServerStats {
	conns, streams := s.crowd.count()
	return ServerStats{
		Conns: conns, Streams: streams,
		Ranges: s.stats.ranges.Load(), Refusals: s.stats.refusals.Load(), Bytes: s.stats.bytes.Load(),
	}
}

// Drain stops listening and closes idle connections; ranges under way are sent to their end. It returns when none is
// left, or with ctx's error when ctx ends first. Close has to follow.
func (s *Server) Drain(ctx context.Context) error {
	s.mu.Lock()
	if !s.draining {
		s.draining = true
		_ = s.listener.Close() // what it could say changes nothing
		if len(s.sessions) == 0 {
			close(s.empty)
		}
	}
	for n, busy := range s.sessions {
		if !busy {
			_ = n.conn.Close() // its goroutine finds out
		}
	}
	s.mu.Unlock()
	select {
	case <-s.empty:
		return nil
	case <-ctx.Done():
		return fault.New(fault.DeadlineExceeded, "%d connections are still being served, to be cut by Close: %w", s.Stats().Conns, ctx.Err())
	}
}

// Close cuts all connections and waits for their goroutines, and so for calls of the Source, whose contexts have ended.
// Idempotent.
func (s *Server) Close() error {
	s.stop()
	s.mu.Lock()
	if !s.draining {
		s.draining = true
		_ = s.listener.Close()
		if len(s.sessions) == 0 {
			close(s.empty)
		}
	}
	for n := range s.sessions {
		_ = n.conn.Close()
	}
	s.mu.Unlock()
	s.done.Wait()
	return nil
}

// accept takes connections until the listener is closed.
func (s *Server) accept(ctx context.Context) {
	wait := time.Duration(0)
	for {
		conn, err := s.listener.Accept()
		if err == nil {
			wait = 0
			s.welcome(ctx, conn)
			continue
		}
		if errors.Is(err, net.ErrClosed) || ctx.Err() != nil {
			return
		}
		wait = min(max(2*wait, 5*time.Millisecond), time.Second) // out of file descriptors, as a rule
		s.cfg.Logger.Warn("no connection accepted; it is tried again", "err", err)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
	}
}

// welcome starts the goroutine of a connection: it is served, or refused in words, or where too many are being refused
// already closed without any.
func (s *Server) welcome(ctx context.Context, conn net.Conn) {
	peer := host(conn)
	refused := s.crowd.enter(peer)
	if refused != nil {
		s.stats.refusals.Add(1)
		if !s.crowd.enterDoor() {
			_ = conn.Close()
			return
		}
	}
	n := &session{server: s, conn: conn, peer: peer}
	s.mu.Lock()
	if s.draining {
		s.mu.Unlock()
		_ = conn.Close()
		s.release(n, refused)
		return
	}
	s.sessions[n] = false
	s.done.Add(1)
	s.mu.Unlock()
	go func() {
		defer s.done.Done()
		if refused != nil {
			n.turnAway(refused)
		} else {
			n.serve(ctx)
		}
		_ = conn.Close()
		s.release(n, refused)
		s.mu.Lock()
		delete(s.sessions, n)
		if s.draining && len(s.sessions) == 0 {
			close(s.empty)
		}
		s.mu.Unlock()
	}()
}

func (s *Server) release(n *session, refused error) {
	if refused != nil {
		s.crowd.leaveDoor()
	} else {
		s.crowd.leave(n.peer)
	}
}

// mark notes whether a session is serving a request. It reports false once the server drains: the session ends then.
func (s *Server) mark(n *session, busy bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sessions[n] = busy
	return !s.draining
}

// host is what counts as one peer.
func host(conn net.Conn) string {
	addr := conn.RemoteAddr().String()
	if h, _, err := net.SplitHostPort(addr); err == nil {
		return h
	}
	return addr
}
