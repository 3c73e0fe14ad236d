package natsconn

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/squall-faas/squall/fault"
)

const (
	// pingInterval with maxPings bounds how long a connection that swallows everything goes unseen: 10 to 15 s. The
	// client's own default is 2 minutes.
	pingInterval = 5 * time.Second
	maxPings     = 2

	// flushTimeout ends a write that the kernel does not take. The client holds its lock meanwhile, so its default of
	// one minute would hold up every publisher, and the pings too, for as long.
	flushTimeout = 10 * time.Second

	// reconnectBuffer bounds what is published while the connection is away; past it Publish returns an error.
	reconnectBuffer = 8 << 20 // bytes

	// Reconnecting waits after each pass over the server list: minReconnectWait, doubled up to maxReconnectWait, each
	// wait cut to between a half and the whole at random, so that a fleet does not come back in step.
	minReconnectWait = 50 * time.Millisecond
	maxReconnectWait = 2 * time.Second

	defaultTimeout = 2 * time.Second
)

// InProcess hands out connections to a NATS server in this process; [*Server] is one. A test may wrap it to inject
// faults: its connections must then never block in Write, because the client writes under its lock.
type InProcess = nats.InProcessConnProvider

// Options of a connection. The zero value connects to nats://127.0.0.1:4222 without credentials.
type Options struct {
	// URL of the servers, separated by commas; default nats://127.0.0.1:4222. A URL may carry user:password@ or token@.
	URL string
	// Name shown in the server's list of connections.
	Name string

	// At most one kind of credentials; none takes those in the URL, if any.

	CredsFile      string // path of a .creds file (JWT and seed)
	NKeyFile       string // path of a file with an nkey's seed
	User, Password string
	Token          string

	// Timeout of one attempt at one server, now and at every reconnect; default 2 s.
	Timeout time.Duration
	// InboxPrefix of the subjects that requests are answered on, without a trailing dot; default _INBOX.
	InboxPrefix string
	// InProcess connects without a socket; URL is then ignored.
	InProcess InProcess
	// Logger hears of lost and restored connections; nil discards.
	Logger *slog.Logger
}

// Dial connects to the first server that answers. Once connected the connection is kept for good: a lost one is
// restored in the background, with every subscription, until Close; what is published meanwhile waits in a buffer
// of 8 MiB, past which publishing fails.
//
// It returns a *fault.Error: unreachable where no server answers within ctx and Timeout, unauthorized where one
// refuses the credentials, invalid_argument for options that make no sense. No message contains a secret.
func Dial(ctx context.Context, o Options) (*nats.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, fault.From(err)
	}
	urls, shown, err := o.servers()
	if err != nil {
		return nil, err
	}
	auth, err := o.auth()
	if err != nil {
		return nil, err
	}
	if strings.ContainsAny(o.InboxPrefix, "*> \t\r\n") || strings.HasSuffix(o.InboxPrefix, ".") {
		return nil, fault.New(fault.InvalidArgument, "inbox prefix %q: use tokens without wildcards, joined by dots, none at the end", o.InboxPrefix)
	}
	timeout := o.Timeout
	if timeout <= 0 {
		timeout = defaultTimeout
	}
	log := o.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	dial := newDialer(timeout)
	opts := []nats.Option{
		nats.Name(o.Name),
		nats.Timeout(timeout),
		nats.PingInterval(pingInterval),
		nats.MaxPingsOutstanding(maxPings),
		nats.FlusherTimeout(flushTimeout),
		nats.ReconnectOnFlusherError(),
		nats.MaxReconnects(-1),
		nats.CustomReconnectDelay(reconnectWait),
		nats.ReconnectBufSize(reconnectBuffer),
		nats.RetryOnFailedConnect(false),
		nats.IgnoreAuthErrorAbort(), // a server that comes back with its accounts not yet loaded must not end us
		nats.SetCustomDialer(dial),
		nats.SkipHostLookup(), // the dialer looks names up, and obeys ctx while it does
	}
	opts = append(opts, handlers(log.With("name", o.Name))...)
	opts = append(opts, auth...)
	if o.InboxPrefix != "" {
		opts = append(opts, nats.CustomInboxPrefix(o.InboxPrefix))
	}
	if o.InProcess != nil {
		opts = append(opts, nats.InProcessServer(dial.over(o.InProcess)))
	}
	stop := context.AfterFunc(ctx, dial.cut)
	conn, err := nats.Connect(urls, opts...)
	dial.established()
	if !stop() && err == nil {
		conn.Close() // ctx ended just as the connection stood, and its socket is cut
		err = ctx.Err()
	}
	if err != nil {
		return nil, explain(ctx, err, shown)
	}
	return conn, nil
}

// explain makes err a fault that says which servers it is about and what to do.
func explain(ctx context.Context, err error, shown string) error {
	switch {
	case errors.Is(err, nats.ErrAuthorization), errors.Is(err, nats.ErrAuthExpired), errors.Is(err, nats.ErrAuthRevoked),
		errors.Is(err, nats.ErrAccountAuthExpired), errors.Is(err, nats.ErrNkeysNotSupported):
		return fault.New(fault.Unauthorized, "nats at %s refuses the credentials: check --creds, the user and password, or the token: %w", shown, err)
	case errors.Is(err, nats.ErrTokenAlreadySet), errors.Is(err, nats.ErrUserInfoAlreadySet):
		return fault.New(fault.InvalidArgument, "options for nats at %s: %w", shown, err)
	case ctx.Err() != nil:
		err = ctx.Err()
	case errors.Is(err, nats.ErrNoServers):
		err = errors.New("connection refused")
	}
	return fault.New(fault.Unreachable, "nats at %s does not answer: start it with 'squall nats', or point --server or NATS_URL at one that runs: %w", shown, err)
}

// auth turns the credentials into options.
func (o Options) auth() ([]nats.Option, error) {
	var opts []nats.Option
	if o.CredsFile != "" {
		// The client reads the file at every connect, and would report a missing one as a server that does not answer.
		if f, err := os.Open(o.CredsFile); err != nil {
			return nil, fault.New(fault.InvalidArgument, "credentials: %w", err)
		} else if err := f.Close(); err != nil {
			return nil, fault.New(fault.InvalidArgument, "credentials: %w", err)
		}
		opts = append(opts, nats.UserCredentials(o.CredsFile))
	}
	if o.NKeyFile != "" {
		key, err := nats.NkeyOptionFromSeed(o.NKeyFile)
		if err != nil {
			return nil, fault.New(fault.InvalidArgument, "credentials: the seed of an nkey in %s: %w", o.NKeyFile, err)
		}
		opts = append(opts, key)
	}
	if o.User != "" {
		opts = append(opts, nats.UserInfo(o.User, o.Password))
	} else if o.Password != "" {
		return nil, fault.New(fault.InvalidArgument, "a password without a user: give both")
	}
	if o.Token != "" {
		opts = append(opts, nats.Token(o.Token))
	}
	if len(opts) > 1 {
		return nil, fault.New(fault.InvalidArgument, "more than one kind of credentials: give a credentials file, the file of an nkey, a user and password, or a token")
	}
	return opts, nil
}

// handlers log what happens to the connection. A process that lives through an outage must show it somewhere.
func handlers(log *slog.Logger) []nats.Option {
	return []nats.Option{
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil { // nil: closed by us
				log.Warn("nats connection lost", "err", err)
			}
		}),
		nats.ReconnectHandler(func(c *nats.Conn) {
			log.Info("nats connection restored", "server", c.ConnectedAddr())
		}),
		nats.ErrorHandler(func(_ *nats.Conn, s *nats.Subscription, err error) {
			subject := ""
			if s != nil {
				subject = s.Subject
			}
			level := slog.LevelWarn
			if errors.Is(err, nats.ErrPermissionViolation) && strings.Contains(err.Error(), `"$JS.API.STREAM.PURGE.`) {
				level = slog.LevelDebug // a store tries to remove what it has replaced; see permissions
			}
			log.Log(context.Background(), level, "nats error", "subject", subject, "err", err)
		}),
	}
}

// reconnectWait is the wait after the nth pass over all servers, n from 1.
func reconnectWait(n int) time.Duration {
	d := min(minReconnectWait<<min(n-1, 10), maxReconnectWait)
	return d/2 + rand.N(d/2+1)
}
