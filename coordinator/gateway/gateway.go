package gateway

import (
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/backbone"
	"github.com/squall-faas/squall/internal/caller"
	"github.com/squall-faas/squall/internal/offload"
	"github.com/squall-faas/squall/kvs/version"
)

// Config of a Gateway. Only Backbone is required.
type Config struct {
	// Backbone is the namespace that is served. It stays the caller's to close, after the gateway.
	Backbone *backbone.Backbone
	// Token that a request must carry as "Authorization: Bearer …", except to /livez and /readyz; "" asks for none.
	Token string
	// Loopback answers only requests that name a loopback host, so that a web page cannot reach a gateway without a
	// token by pointing its own name at 127.0.0.1. Set it where the gateway listens on the loopback only.
	Loopback bool

	// MaxBody of one request in bytes; 0 is what 64 MiB take as base64 in JSON.
	MaxBody int64
	// MaxLarge is how many requests may hold a body of more than 1 MiB at once, and so bounds memory; further ones are
	// refused as overloaded. 0 is 16.
	MaxLarge int
	// MaxTimeout a request may ask for; 0 is an hour.
	MaxTimeout time.Duration
	// MaxConnections of Serve; further ones wait to be accepted. 0 is 4,096.
	MaxConnections int

	// Registerer of the gateway's metrics and Gatherer of what /metrics shows; nil for both is a registry of its own.
	Registerer prometheus.Registerer
	Gatherer   prometheus.Gatherer
	Logger     *slog.Logger // nil discards
}

func (c *Config) validate() error {
	if c.Backbone == nil {
		return fault.New(fault.InvalidArgument, "gateway: Backbone is required")
	}
	if (c.Registerer == nil) != (c.Gatherer == nil) {
		return fault.New(fault.InvalidArgument, "gateway: give both Registerer and Gatherer, or neither")
	}
	if c.MaxBody <= 0 {
		c.MaxBody = offload.MaxValue/3*4 + 1<<20
	}
	if c.MaxLarge <= 0 {
		c.MaxLarge = 16
	}
	if c.MaxTimeout <= 0 {
		c.MaxTimeout = time.Hour
	}
	if c.MaxConnections <= 0 {
		c.MaxConnections = 4096
	}
	if c.Registerer == nil {
		r := prometheus.NewRegistry()
		c.Registerer, c.Gatherer = r, r
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}

// Gateway serves the HTTP API of one namespace. Safe for concurrent use.
type Gateway struct {
	cfg     Config
	log     *slog.Logger
	handler http.Handler
	metrics *metrics
	large   chan struct{} // holds a token for each large body in memory
	health  health
	origins *http.CrossOriginProtection

	// Admissions and outcomes have a Caller each, because a Caller has one wait for each run: a run may be admitted once
	// more while somebody waits for its outcome.
	admissions, outcomes *flights
	admit, await         *caller.Caller

	writer *version.Writer
}

// New makes a Gateway; Close it.
func New(cfg Config) (*Gateway, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	g := &Gateway{
		cfg: cfg, log: cfg.Logger, large: make(chan struct{}, cfg.MaxLarge),
		admissions: newFlights(), outcomes: newFlights(), origins: http.NewCrossOriginProtection(),
	}
	off, err := offload.New(offload.Config{Store: cfg.Backbone.System, MaxPayload: cfg.Backbone.Bus.MaxPayload()})
	if err != nil {
		return nil, err
	}
	cc := caller.Config{Bus: cfg.Backbone.Bus, Offload: off, Namespace: cfg.Backbone.Namespace, Logger: cfg.Logger}
	if g.admit, err = caller.New(cc); err != nil {
		return nil, err
	}
	if g.await, err = caller.New(cc); err != nil {
		g.admit.Close()
		return nil, err
	}
	if g.writer, err = version.NewWriter(version.WriterConfig{Store: cfg.Backbone.User, Sessionless: true}); err != nil {
		g.await.Close()
		g.admit.Close()
		return nil, err
	}
	if g.metrics, err = newMetrics(cfg.Registerer); err != nil {
		g.Close()
		return nil, fmt.Errorf("gateway: %w", err)
	}
	// gin has its mode in a global; release is what it is used in everywhere here.
	gin.SetMode(gin.ReleaseMode)
	g.handler = g.engine()
	return g, nil
}

// Handler is the API without Serve's bounds on connections and time.
func (g *Gateway) Handler() http.Handler { return g.handler }

// Close ends what requests still wait for with cancelled, and waits for that; durable runs and runs with a key go on.
// Close after Serve has returned. Idempotent.
func (g *Gateway) Close() {
	g.await.Close()
	g.admit.Close()
	g.writer.Close()
	g.outcomes.close()
	g.admissions.close()
}
