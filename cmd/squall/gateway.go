package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/squall-faas/squall/internal/backbone"
)

// front is the gateway's role.
type front struct {
	*app
	http      httpAPI
	monitor   monitor
	listening listening
}

func (a *app) gatewayCommand() *cobra.Command {
	r := front{app: a}
	r.http.listening, r.monitor.listening = &r.listening, &r.listening
	cmd := asRole(&cobra.Command{
		Use: "gateway", Short: "Run the HTTP API",
		Long: `Serves the HTTP API of one namespace behind the NATS server that --server names. Any number may run: they share nothing.
Beyond the loopback it asks for the token of SQUALL_HTTP_TOKEN.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return r.run(cmd.Context()) },
	})
	r.http.flags(cmd.Flags(), "http", "127.0.0.1:8080", "`host:port` of the HTTP API")
	r.monitor.flags(cmd.Flags())
	r.listening.flag(cmd.Flags())
	return cmd
}

func (r *front) run(ctx context.Context) (err error) {
	log := r.logger(slog.LevelInfo)
	ln, err := r.http.open(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = ln.Close() }() // closed by then, unless something failed
	watched, err := r.monitor.open(ctx)
	if err != nil {
		return err
	}
	if watched != nil {
		defer func() { _ = watched.Close() }()
	}
	b, err := backbone.Dial(ctx, backbone.Options{Namespace: r.set.Namespace, Conn: r.set.conn("gateway", log), Logger: log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	x := map[string]string{"http": "http://" + ln.Addr().String(), "namespace": r.set.Namespace}
	err = r.printObject(x, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "gateway is up, namespace %s\n  HTTP  %s\n", x["namespace"], x["http"])
		return err
	})
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	reg := processMetrics()
	group.Go(func() error { return r.http.serve(ctx, ln, b, reg, log) })
	if watched != nil {
		group.Go(func() error { return r.monitor.serve(ctx, watched, reg, storeAnswers(b), log) })
	}
	return group.Wait()
}
