package natsconn

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/squall-faas/squall/fault"
)

// Durability is what the embedded server promises of a write that it has acknowledged.
type Durability int

const (
	// Durable fsyncs before the acknowledgement: nothing acknowledged is lost in a power cut. The default.
	Durable Durability = iota
	// Interval fsyncs once a second: a power cut may lose the last second; a killed process loses nothing.
	Interval
	// Memory keeps nothing beyond Shutdown.
	Memory
)

// String is the mode's name in configuration, logs and benchmarks.
func (d Durability) String() string {
	switch d {
	case Durable:
		return "durable"
	case Interval:
		return "interval"
	case Memory:
		return "memory"
	}
	return "durability(" + strconv.Itoa(int(d)) + ")"
}

// syncInterval of Interval. JetStream's own default is two minutes, which in a power cut lost all of a young stream.
const syncInterval = time.Second

// DefaultMaxPayload is NATS' own default, and so what a server that somebody else set up is likely to have: what fits
// here fits there. Larger payloads never ride in messages anyway, and JetStream's file streams refuse over 32 MiB.
const DefaultMaxPayload = 1 << 20 // bytes

// MaxMaxPayload is the most that MaxPayload may be: above it nats-server warns, and memory per connection grows.
const MaxMaxPayload = 8 << 20 // bytes

// ServerOptions of an embedded server.
type ServerOptions struct {
	// StoreDir holds JetStream's files; it is made if it is missing, and belongs to one server at a time. Required,
	// except with Memory, where it must be empty: a temporary directory serves then, and is removed by Shutdown.
	StoreDir   string
	Durability Durability
	// NoJetStream runs messaging alone; StoreDir must be empty.
	NoJetStream bool
	// MaxMemory and MaxStore bound JetStream in bytes; 0 leaves it to the server: 75 % of memory, the free disk.
	MaxMemory, MaxStore int64

	// Listen is host:port for TCP clients; empty listens nowhere, and only this process can connect. An empty host is
	// 127.0.0.1, port 0 any free one.
	Listen string
	// Token that clients must present; empty asks for none.
	Token string
	// Name of the server; default a random one.
	Name string
	// MaxPayload is the longest message in bytes; default DefaultMaxPayload, at most MaxMaxPayload.
	MaxPayload int32
	// ConfigFile is a file in nats-server's own format, which then says everything: all options above must be unset. This
	// is how servers form a cluster, and have accounts.
	ConfigFile string
	// Logger hears of the server's warnings and errors; nil discards.
	Logger *slog.Logger
}

// Server is an embedded NATS server. It is safe for concurrent use and is an [InProcess].
type Server struct {
	srv        *server.Server
	url        string
	token      string
	durability Durability
	release    func()
	once       sync.Once
}

// Embed starts a server and returns when it accepts connections, its streams recovered. It blocks for as long as that
// takes: seconds where a directory holds millions of keys.
//
// It returns a *fault.Error: invalid_argument for options that make no sense, an address in use or a directory that
// another server holds or that cannot be written; unavailable for what the server itself reports.
func Embed(o ServerOptions) (*Server, error) {
	read := o.server
	if o.ConfigFile != "" {
		read = o.configured
	}
	opts, err := read()
	if err != nil {
		return nil, err
	}
	release := func() {}
	if opts.JetStream {
		if opts.StoreDir, release, err = o.claimStore(); err != nil {
			return nil, err
		}
	}
	srv, err := server.NewServer(opts)
	if err != nil {
		release()
		return nil, fault.New(fault.InvalidArgument, "options of the embedded nats server: %w", err)
	}
	log := newServerLog(o.Logger)
	srv.SetLogger(log, false, false)
	srv.Start() // returns when the listener stands, or after it has logged what is fatal
	if err := log.fatal(); err != nil {
		srv.Shutdown()
		srv.WaitForShutdown()
		release()
		return nil, o.explain(err)
	}
	s := &Server{srv: srv, token: o.Token, durability: o.Durability, release: release}
	if !opts.DontListen {
		s.url = clientURL(srv.Addr())
	}
	log.start()
	return s, nil
}

// server validates o and turns it into the server's options.
func (o ServerOptions) server() (*server.Options, error) {
	payload := o.MaxPayload
	if payload == 0 {
		payload = DefaultMaxPayload
	}
	switch {
	case payload < 0 || payload > MaxMaxPayload:
		return nil, fault.New(fault.InvalidArgument, "maximum payload of %d bytes: use 1 to %d", o.MaxPayload, MaxMaxPayload)
	case o.Durability < Durable || o.Durability > Memory:
		return nil, fault.New(fault.InvalidArgument, "unknown durability %d: use durable, interval or memory", int(o.Durability))
	case o.StoreDir != "" && (o.NoJetStream || o.Durability == Memory):
		return nil, fault.New(fault.InvalidArgument, "a data directory is of no use to a server that keeps nothing on disk: leave it empty")
	case o.StoreDir == "" && !o.NoJetStream && o.Durability != Memory:
		return nil, fault.New(fault.InvalidArgument, "the embedded nats server needs a data directory: name one, or choose memory durability")
	}
	opts := &server.Options{
		ServerName:             o.Name,
		NoSigs:                 true, // signals belong to the program
		NoLog:                  true, // SetLogger instead
		DontListen:             o.Listen == "",
		Host:                   "127.0.0.1",
		MaxPayload:             payload,
		Authorization:          o.Token,
		JetStream:              !o.NoJetStream,
		JetStreamMaxMemory:     o.MaxMemory,
		JetStreamMaxStore:      o.MaxStore,
		DisableJetStreamBanner: true,
		SyncAlways:             o.Durability == Durable,
	}
	if o.Durability == Interval {
		opts.SyncInterval = syncInterval
	}
	if o.Listen != "" {
		host, port, err := net.SplitHostPort(o.Listen)
		if err != nil {
			return nil, fault.New(fault.InvalidArgument, "listen address %q: write host:port: %w", o.Listen, err)
		}
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil {
			return nil, fault.New(fault.InvalidArgument, "listen address %q: the port must be 0 to 65535: %w", o.Listen, err)
		}
		if host != "" {
			opts.Host = host
		}
		if opts.Port = int(n); n == 0 {
			opts.Port = server.RANDOM_PORT
		}
	}
	return opts, nil
}

// claimStore makes the data directory and locks it: nats-server does not, and two servers in one directory destroy
// each other's streams.
func (o ServerOptions) claimStore() (dir string, release func(), err error) {
	if o.Durability == Memory {
		dir, err := os.MkdirTemp("", "squall-nats-")
		if err != nil {
			return "", nil, fault.New(fault.Unavailable, "temporary directory of the embedded nats server: %w", err)
		}
		return dir, func() { _ = os.RemoveAll(dir) }, nil // scratch files in the temporary directory: nothing depends on them
	}
	if err := os.MkdirAll(o.StoreDir, 0o700); err != nil {
		return "", nil, o.explain(err)
	}
	release, err = lockFile(filepath.Join(o.StoreDir, "squall.lock"))
	if err != nil {
		return "", nil, o.explain(err)
	}
	return o.StoreDir, release, nil
}

// explain turns what kept the server from starting into a fault that says what to do.
func (o ServerOptions) explain(err error) error {
	switch {
	case errors.Is(err, errLocked):
		return fault.New(fault.InvalidArgument, "data directory %s is in use by another server: stop that one, or choose another directory: %w", o.StoreDir, err)
	case errors.Is(err, syscall.EADDRINUSE):
		return fault.New(fault.InvalidArgument, "address %s is in use: stop what listens there, or choose another port: %w", o.Listen, err)
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS), errors.Is(err, syscall.ENOTDIR), errors.Is(err, fs.ErrExist):
		return fault.New(fault.InvalidArgument, "data directory %s cannot be used: make it a directory that this user may write: %w", o.StoreDir, err)
	case o.Listen != "" && errors.As(err, new(*net.OpError)):
		return fault.New(fault.InvalidArgument, "listen on %s: %w", o.Listen, err)
	}
	return fault.New(fault.Unavailable, "the embedded nats server does not start: %w", err)
}

// clientURL is where a client on this host finds a listener; one on every address is found on the loopback.
func clientURL(a net.Addr) string {
	if t, ok := a.(*net.TCPAddr); ok && t.IP.IsUnspecified() {
		return "nats://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(t.Port))
	}
	return "nats://" + a.String()
}

// URL that TCP clients connect to, without credentials; empty for a server that does not listen.
func (s *Server) URL() string { return s.url }

// Durability that the server was started with. A stream belongs in memory storage where it is Memory.
func (s *Server) Durability() Durability { return s.durability }

// Dial connects to the server without a socket. o.URL is ignored, the server's own token is presented where o has no
// credentials, and o.InProcess may wrap the server.
func (s *Server) Dial(ctx context.Context, o Options) (*nats.Conn, error) {
	if o.InProcess == nil {
		o.InProcess = s
	}
	if o.Token == "" && o.User == "" && o.CredsFile == "" && o.NKeyFile == "" {
		o.Token = s.token
	}
	return Dial(ctx, o)
}

// InProcessConn gives a connection without a socket, for nats.InProcessServer.
func (s *Server) InProcessConn() (net.Conn, error) {
	c, err := s.srv.InProcessConn()
	if err != nil {
		return nil, fmt.Errorf("embedded nats server: %w", err)
	}
	return c, nil
}

// Shutdown stops the server and waits until its files are closed. Connections end and try to reconnect: close them
// first. Idempotent; every call waits.
func (s *Server) Shutdown() {
	s.once.Do(func() {
		s.srv.Shutdown()
		s.srv.WaitForShutdown()
		s.release()
	})
}
