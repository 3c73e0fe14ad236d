package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/squall-faas/squall/coordinator"
	"github.com/squall-faas/squall/coordinator/gateway"
	"github.com/squall-faas/squall/internal/backbone"
	"github.com/squall-faas/squall/internal/cluster"
	"github.com/squall-faas/squall/internal/id"
)

// coordinate is the coordinator's role.
type coordinate struct {
	*app
	name, metrics string
	http          httpAPI
	listening     listening
}

func (a *app) coordinatorCommand() *cobra.Command {
	r := coordinate{app: a}
	r.http.listening = &r.listening
	cmd := &cobra.Command{
		Use: "coordinator", Short: "Run a coordinator, with the HTTP API where --gateway says",
		Long: "Places runs on executors and looks after them, for one namespace behind the NATS server that --server names.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return r.run(cmd.Context()) },
	}
	f := cmd.Flags()
	f.StringVar(&r.name, "name", "", "unique in the namespace (default the host's name and a random part)")
	r.http.flags(f, "gateway", "", "`host:port` of the HTTP API, such as 127.0.0.1:8080; \"\" is none")
	f.StringVar(&r.metrics, "metrics", "", "`host:port` of /metrics alone; the HTTP API has them too")
	r.listening.flag(f)
	return cmd
}

func (r *coordinate) run(ctx context.Context) (err error) {
	log := r.logger(slog.LevelInfo)
	if r.name == "" {
		r.name = nodeName("coordinator")
	}
	var api, metrics net.Listener
	if r.http.addr != "" {
		if api, err = r.http.open(ctx); err != nil {
			return err
		}
		defer func() { _ = api.Close() }() // closed by then, unless something failed
	}
	if r.metrics != "" {
		addr, err := r.listening.address("/metrics", r.metrics, "--gateway, whose /metrics asks for its token", false)
		if err != nil {
			return err
		}
		if metrics, err = listen(ctx, addr); err != nil {
			return err
		}
		defer func() { _ = metrics.Close() }()
	}
	b, err := backbone.Dial(ctx, backbone.Options{Namespace: r.set.Namespace, Conn: r.set.conn(r.name, log), Logger: log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	co, err := cluster.StartCoordinator(ctx, b, coordinator.Config{Name: r.name, Logger: log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, co.Close()) }()
	if err := r.announce(api, metrics); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	reg := registry(co)
	if api != nil {
		group.Go(func() error { return r.http.serve(ctx, api, b, reg, log) })
	}
	if metrics != nil {
		mux := http.NewServeMux()
		mux.Handle("GET /metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{}))
		group.Go(func() error { return gateway.Serve(ctx, metrics, mux, log) })
	}
	<-ctx.Done()
	return group.Wait()
}

func (r *coordinate) announce(api, metrics net.Listener) error {
	x := map[string]string{"coordinator": r.name, "namespace": r.set.Namespace}
	for key, ln := range map[string]net.Listener{"http": api, "metrics": metrics} {
		if ln != nil {
			x[key] = "http://" + ln.Addr().String()
		}
	}
	return r.printObject(x, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "coordinator %s is up, namespace %s\n", r.name, r.set.Namespace)
		if api != nil && err == nil {
			_, err = fmt.Fprintf(w, "  HTTP  %s\n", x["http"])
		}
		if metrics != nil && err == nil {
			_, err = fmt.Fprintf(w, "  metrics  %s/metrics\n", x["metrics"])
		}
		return err
	})
}

// nodeName is a legal name that no other process has.
func nodeName(otherwise string) string {
	host, err := os.Hostname()
	if err != nil || id.CheckName("host", host) != nil {
		host = otherwise
	}
	return host[:min(len(host), 64)] + "-" + id.Token(6)
}
