package gateway

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
	"golang.org/x/net/netutil"

	"github.com/squall-faas/squall/fault"
)

// What a client has time for.
const (
	headerTimeout = 5 * time.Second
	readTimeout   = 2 * time.Minute // the whole request
	writeTimeout  = 2 * time.Minute // the whole answer, once there is one
	idleTimeout   = 2 * time.Minute // between requests
	closeTimeout  = 10 * time.Second
	maxHeader     = 32 << 10 // bytes
)

// Serve answers on ln until ctx ends; then it takes no more requests, gives those under way ten seconds, and returns.
// It closes ln. The error is nil after ctx's end.
func (g *Gateway) Serve(ctx context.Context, ln net.Listener) error {
	return Serve(ctx, netutil.LimitListener(ln, g.cfg.MaxConnections), g.handler, g.log)
}

// Serve is Gateway.Serve for any handler, without a bound on connections.
func Serve(ctx context.Context, ln net.Listener, h http.Handler, log *slog.Logger) error {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	s := &http.Server{
		Handler: h, ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout,
		IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ln) }()
	select {
	case err := <-ended:
		return fault.New(fault.Unavailable, "serve HTTP on %s: %w", ln.Addr(), err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	err := s.Shutdown(grace)
	if errors.Is(err, context.DeadlineExceeded) {
		err = s.Close() // ends the requests still open: their runs are cancelled
	}
	if end := <-ended; !errors.Is(end, http.ErrServerClosed) {
		err = errors.Join(err, end)
	}
	return err
}

// linger keeps the connection of a request that is answered only after up to d. A read deadline that passed meanwhile
// would count as the client's leaving.
func linger(c *gin.Context, d time.Duration) {
	rc := http.NewResponseController(c.Writer)
	_ = rc.SetReadDeadline(time.Time{}) // unsupported in tests
	_ = rc.SetWriteDeadline(time.Now().Add(d + writeTimeout))
}
