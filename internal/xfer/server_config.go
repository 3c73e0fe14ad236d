package xfer

import (
	"io"
	"log/slog"
	"net"
	"time"

	"github.com/squall-faas/squall/fault"
)

// ServerConfig of a Server.
type ServerConfig struct {
	// Source is asked for the values. Required.
	Source Source
	// Namespace that capabilities must be for.
	Namespace string
	// Secrets that capabilities may be made with: at least one. While a new one is brought in, two.
	Secrets []Secret

	// Address to listen on, host:port. Empty is loopback, any free port.
	Address string
	// Listener is used in the place of Address, for instance one with TLS. The server closes it.
	Listener net.Listener
	// Announce is what peers dial, host or host:port; without a port, or with port 0, the one that is listened on. Empty
	// is the address that is listened on.
	Announce string

	// MaxConns bounds the connections of all peers (0: 1024), each with a buffer of 5 KiB and the kernel's.
	MaxConns int
	// MaxConnsPerPeer bounds those from one host (0: 256), so that no peer can take all.
	MaxConnsPerPeer int
	// MaxStreamsPerPeer bounds the ranges that are sent to one host at a time (0: 64).
	MaxStreamsPerPeer int

	// HeaderTimeout is how long a request may take to come, and its value to be opened (0: 5 s).
	HeaderTimeout time.Duration
	// IdleTimeout is how long a connection may be silent between two requests (0: 1 min).
	IdleTimeout time.Duration
	// StallTimeout is how long a reader may take for each 1 MiB (0: 10 s).
	StallTimeout time.Duration

	// Logger gets what no peer is told; nil discards.
	Logger *slog.Logger
}

func (c *ServerConfig) validate() error {
	if c.Source == nil {
		return fault.New(fault.InvalidArgument, "a data port without a Source: give it one")
	}
	if len(c.Secrets) == 0 {
		return fault.New(fault.InvalidArgument, "a data port without a secret could check no capability: give it the one that the namespace's nodes share")
	}
	for _, s := range c.Secrets {
		if s == (Secret{}) {
			return fault.New(fault.InvalidArgument, "a data port with a secret of zeros, which anybody can guess: draw one with NewSecret")
		}
	}
	if c.Address == "" {
		c.Address = "127.0.0.1:0"
	}
	for _, n := range []struct {
		value *int
		or    int
	}{{&c.MaxConns, 1024}, {&c.MaxConnsPerPeer, 256}, {&c.MaxStreamsPerPeer, 64}} {
		if *n.value <= 0 {
			*n.value = n.or
		}
	}
	for _, d := range []struct {
		value *time.Duration
		or    time.Duration
	}{{&c.HeaderTimeout, 5 * time.Second}, {&c.IdleTimeout, time.Minute}, {&c.StallTimeout, 10 * time.Second}} {
		if *d.value <= 0 {
			*d.value = d.or
		}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	return nil
}
