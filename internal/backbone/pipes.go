package backbone

import (
	"context"
	"net"
	"sync"

	"github.com/squall-faas/squall/fault"
)

// Pipes are the data ports of nodes in one process: connections without a network, which virtual time can see through.
type Pipes struct {
	mu        sync.Mutex // guards listeners
	listeners map[string]*pipeListener
}

func newPipes() *Pipes { return &Pipes{listeners: map[string]*pipeListener{}} }

// Listen gives a node's data port.
func (p *Pipes) Listen(node string) net.Listener {
	l := &pipeListener{pipes: p, node: node, conns: make(chan net.Conn), done: make(chan struct{})}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.listeners[node] = l
	return l
}

// Dial connects to the node at addr.
func (p *Pipes) Dial(ctx context.Context, _, addr string) (net.Conn, error) {
	p.mu.Lock()
	l := p.listeners[addr]
	p.mu.Unlock()
	if l == nil {
		return nil, fault.New(fault.Unreachable, "no node %s has a data port in this process", addr)
	}
	here, there := net.Pipe()
	select {
	case l.conns <- there:
		return here, nil
	case <-l.done:
	case <-ctx.Done():
	}
	_ = here.Close() // a pipe's never fails
	return nil, fault.New(fault.Unreachable, "node %s has closed its data port", addr)
}

type pipeListener struct {
	pipes *Pipes
	node  string
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

// Accept implements net.Listener.
func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (l *pipeListener) Close() error {
	l.once.Do(func() {
		close(l.done)
		l.pipes.mu.Lock()
		defer l.pipes.mu.Unlock()
		if l.pipes.listeners[l.node] == l {
			delete(l.pipes.listeners, l.node)
		}
	})
	return nil
}

// Addr implements net.Listener: the node's name.
func (l *pipeListener) Addr() net.Addr { return pipeAddr(l.node) }

type pipeAddr string

// Network implements net.Addr.
func (pipeAddr) Network() string { return "pipe" }

// String implements net.Addr.
func (a pipeAddr) String() string { return string(a) }
