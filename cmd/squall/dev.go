package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/squall-faas/squall"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/backbone"
	"github.com/squall-faas/squall/internal/cluster"
	"github.com/squall-faas/squall/internal/natsconn"
)

// dev is a whole cluster in one process.
type dev struct {
	*app
	nats       string
	data       string
	durability string
	executors  int
	slots      int
	cache      byteSize
	lend       lendSize
	http       httpAPI
	listening  listening
}

func (a *app) devCommand() *cobra.Command {
	d := dev{app: a}
	d.http.listening = &d.listening
	cmd := asRole(&cobra.Command{
		Use: "dev", Short: "Run a whole cluster in this process",
		Long: `Runs NATS with JetStream, a coordinator, executors and the HTTP API in this process, on the loopback. What was
registered and stored is there again at the next start. Ctrl-C finishes what is under way; a second one does not.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return d.run(cmd.Context()) },
	})
	f := cmd.Flags()
	f.StringVar(&d.nats, "listen", "127.0.0.1:4222", "`host:port` of NATS, for clients and further executors")
	d.http.flags(f, "http", "127.0.0.1:8080", "`host:port` of the HTTP API")
	f.StringVar(&d.data, "data", "", "`directory` of the state (default squall/dev of the user's data directory)")
	f.StringVar(&d.durability, "durability", "durable", "durable, interval or memory: what a power cut may take, see 'squall nats --help'")
	f.IntVar(&d.executors, "executors", 1, "how many")
	f.IntVar(&d.slots, "slots", 0, "functions that an executor runs at once (default the number of cores)")
	f.Var(&d.cache, "cache", "memory of each executor's cache (default 256MiB)")
	f.Var(&d.lend, "lend", lendUsage)
	d.listening.flag(f)
	return cmd
}

func (d *dev) run(ctx context.Context) (err error) {
	var defers []func() error
	defer func() {
		for i := len(defers) - 1; i >= 0; i-- {
			err = errors.Join(err, defers[i]())
		}
	}()
	if d.executors < 1 {
		return fault.New(fault.InvalidArgument, "--executors %d: at least one", d.executors)
	}
	log := d.logger(slog.LevelWarn)
	ln, err := d.http.open(ctx)
	if err != nil {
		return err
	}
	defers = append(defers, func() error { _ = ln.Close(); return nil }) // closed by then, unless something failed
	server, err := embed(embedded{listen: d.nats, data: d.data, durability: d.durability, token: d.set.Token, listening: d.listening}, "dev", log)
	if err != nil {
		return err
	}
	defers = append(defers, func() error { server.Shutdown(); return nil })
	c, err := cluster.Start(ctx, cluster.Config{
		Namespace: d.set.Namespace, Server: server, Executors: d.executors, WasmCache: wasmCache(), Logger: log,
		Executor: cluster.ExecutorConfig{
			Slots: d.slots, CacheBytes: int64(d.cache), Lend: cluster.Lend{Most: int64(d.lend)}, Release: squall.Version,
		},
	})
	if err != nil {
		return err
	}
	defers = append(defers, c.Close, func() error { return drain(ctx, c) })
	b, err := backbone.Dial(ctx, backbone.Options{
		Namespace: d.set.Namespace, Server: server, Conn: natsconn.Options{Name: "gateway"}, Logger: log,
	})
	if err != nil {
		return err
	}
	defers = append(defers, b.Close)
	if err := d.announce(server, ln); err != nil {
		return err
	}
	reg := processMetrics()
	coordinatorMetrics(reg, c.Coordinator)
	if d.executors == 1 { // the figures of several would have the same names
		if err := c.Executors()[0].RegisterMetrics(reg); err != nil {
			return err
		}
	}
	return d.http.serve(ctx, ln, b, reg, log)
}

func (d *dev) announce(server *natsconn.Server, ln net.Listener) error {
	x := struct {
		NATS       string `json:"nats"`
		HTTP       string `json:"http"`
		Namespace  string `json:"namespace"`
		Executors  int    `json:"executors"`
		Durability string `json:"durability"`
	}{server.URL(), "http://" + ln.Addr().String(), d.set.Namespace, d.executors, server.Durability().String()}
	return d.printObject(x, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "Squall %s is up: %d executor(s), namespace %s, %s\n  NATS  %s\n  HTTP  %s\nCtrl-C ends it.\n",
			squall.Version, x.Executors, x.Namespace, x.Durability, x.NATS, x.HTTP)
		return err
	})
}

// drain lets executors finish what is under way. All of them at once: what one lends is not worth moving to another that
// leaves too.
func drain(ctx context.Context, c *cluster.Cluster) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	var group errgroup.Group
	for _, e := range c.Executors() {
		group.Go(func() error {
			if err := e.Drain(ctx); !errors.Is(err, context.DeadlineExceeded) {
				return err
			}
			return nil
		})
	}
	return group.Wait()
}

// wasmCache is where compiled modules are kept; "" keeps them in memory.
func wasmCache() string {
	dir, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "squall", "wasm")
}
