package main

import (
	"context"
	"crypto/subtle"
	"log/slog"
	"net"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/spf13/pflag"

	"github.com/squall-faas/squall"
	"github.com/squall-faas/squall/coordinator/gateway"
)

// monitor is the port at which a role is watched: /metrics for Prometheus, /livez and /readyz for whoever restarts it. The
// last two tell nothing but that, and ask for no token.
type monitor struct {
	addr, token string
	listening   *listening
}

func (m *monitor) flags(f *pflag.FlagSet) {
	f.StringVar(&m.addr, "metrics", "", "`host:port` of /metrics, /livez and /readyz; beyond the loopback with SQUALL_METRICS_TOKEN, which /metrics then asks for")
}

// open opens the port; nil where there shall be none.
func (m *monitor) open(ctx context.Context) (ln net.Listener, err error) {
	if m.addr == "" {
		return nil, nil
	}
	if m.token, err = secret("SQUALL_METRICS_TOKEN"); err != nil {
		return nil, err
	}
	addr, err := m.listening.address("/metrics", m.addr, "SQUALL_METRICS_TOKEN", m.token != "")
	if err != nil {
		return nil, err
	}
	return listen(ctx, addr)
}

// serve serves until ctx ends. ready is nil when the role does its work.
func (m *monitor) serve(ctx context.Context, ln net.Listener, r prometheus.Gatherer, ready func(context.Context) error, log *slog.Logger) error {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", m.guarded(promhttp.HandlerFor(r, promhttp.HandlerOpts{})))
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) }) // the client is gone, else
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, req *http.Request) {
		if err := ready(req.Context()); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write([]byte("ok\n"))
	})
	return gateway.Serve(ctx, ln, mux, log)
}

func (m *monitor) guarded(h http.Handler) http.Handler {
	if m.token == "" {
		return h
	}
	want := []byte("Bearer " + m.token)
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if subtle.ConstantTimeCompare([]byte(req.Header.Get("Authorization")), want) != 1 {
			w.Header().Set("WWW-Authenticate", "Bearer")
			http.Error(w, "present the token of SQUALL_METRICS_TOKEN as a bearer token", http.StatusUnauthorized)
			return
		}
		h.ServeHTTP(w, req)
	})
}

// processMetrics is a registry with the figures of this process.
func processMetrics() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "squall_build_info", Help: "The release that runs.", ConstLabels: prometheus.Labels{"release": squall.Version},
	}, func() float64 { return 1 }))
	return r
}
