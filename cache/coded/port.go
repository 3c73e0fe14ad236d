package coded

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/squall-faas/squall/cache/coded/lend"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/xfer"
)

// portConfig of a port.
type portConfig struct {
	memory    *lend.Memory
	namespace string
	secret    xfer.Secret
	listener  net.Listener
	stall     time.Duration // for each chunk of a shard, either way
	idle      time.Duration // of a connection between requests
	most      int           // connections
	refusing  func() bool   // puts, because the lender drains
	logger    *slog.Logger
}

// port serves a lender's memory over TCP, a goroutine for each connection. Close ends it.
type port struct {
	portConfig
	stop context.CancelFunc
	done sync.WaitGroup

	mu       sync.Mutex // guards what follows
	sessions map[*session]struct{}
	closed   bool
}

func newPort(cfg portConfig) *port {
	p := &port{portConfig: cfg, sessions: map[*session]struct{}{}}
	var ctx context.Context
	ctx, p.stop = context.WithCancel(context.Background())
	p.done.Go(func() { p.accept(ctx) })
	return p
}

func (p *port) accept(ctx context.Context) {
	wait := time.Duration(0)
	for {
		conn, err := p.listener.Accept()
		if err == nil {
			wait = 0
			p.welcome(conn)
			continue
		}
		if errors.Is(err, net.ErrClosed) || errors.Is(err, io.EOF) || ctx.Err() != nil {
			return
		}
		wait = min(max(2*wait, 5*time.Millisecond), time.Second) // out of file descriptors, as a rule
		p.logger.Warn("no connection accepted; it is tried again", "err", err)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
	}
}

func (p *port) welcome(conn net.Conn) {
	s := &session{port: p, conn: conn}
	p.mu.Lock()
	if p.closed || len(p.sessions) >= p.most {
		p.mu.Unlock()
		_ = conn.Close() // its client asks another lender
		return
	}
	p.sessions[s] = struct{}{}
	p.done.Add(1)
	p.mu.Unlock()
	go func() {
		defer p.done.Done()
		if err := s.serve(); err != nil && fault.Is(err, fault.Unauthorized) {
			p.logger.Warn("a client of this lender was refused", "err", err)
		}
		_ = conn.Close()
		p.mu.Lock()
		delete(p.sessions, s)
		p.mu.Unlock()
	}()
}

// cut closes all connections that are reading, so that what they keep from being freed is free.
func (p *port) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for s := range p.sessions {
		if s.sending.Load() {
			_ = s.conn.Close() // its goroutine finds out
		}
	}
}

// close cuts all connections and waits for their goroutines. Idempotent.
func (p *port) close() {
	p.stop()
	_ = p.listener.Close()
	p.mu.Lock()
	p.closed = true
	for s := range p.sessions {
		_ = s.conn.Close()
	}
	p.mu.Unlock()
	p.done.Wait()
}
