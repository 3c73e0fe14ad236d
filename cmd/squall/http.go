package main

import (
	"context"
	"log/slog"
	"net"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/pflag"

	"github.com/squall-faas/squall/coordinator/gateway"
	"github.com/squall-faas/squall/internal/backbone"
)

// httpAPI is the gateway of a role.
type httpAPI struct {
	addr, token string
	listening   *listening
}

func (h *httpAPI) flags(f *pflag.FlagSet, name, addr, usage string) {
	f.StringVar(&h.addr, name, addr, usage)
	f.StringVar(&h.token, "http-token", "", "token that HTTP requests must carry; rather SQUALL_HTTP_TOKEN, which no process list shows")
}

// open opens the port: before anything else starts, so that a port in use is the first thing that is said.
func (h *httpAPI) open(ctx context.Context) (net.Listener, error) {
	if h.token == "" {
		var err error
		if h.token, err = secret("SQUALL_HTTP_TOKEN"); err != nil {
			return nil, err
		}
	}
	addr, err := h.listening.address("the HTTP API", h.addr, "SQUALL_HTTP_TOKEN", h.token != "")
	if err != nil {
		return nil, err
	}
	return listen(ctx, addr)
}

// serve serves until ctx ends.
func (h *httpAPI) serve(ctx context.Context, ln net.Listener, b *backbone.Backbone, r *prometheus.Registry, log *slog.Logger) error {
	host, _, _ := net.SplitHostPort(ln.Addr().String())
	g, err := gateway.New(gateway.Config{
		Backbone: b, Token: h.token, Loopback: h.token == "" && loopback(host), Registerer: r, Gatherer: r, Logger: log,
	})
	if err != nil {
		return err
	}
	defer g.Close()
	return g.Serve(ctx, ln)
}
