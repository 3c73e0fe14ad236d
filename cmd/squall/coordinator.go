package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/squall-faas/squall/coordinator"
	"github.com/squall-faas/squall/internal/backbone"
	"github.com/squall-faas/squall/internal/cluster"
	"github.com/squall-faas/squall/internal/id"
)

// coordinate is the coordinator's role.
type coordinate struct {
	*app
	name      string
	replicas  int
	http      httpAPI
	monitor   monitor
	listening listening
}

func (a *app) coordinatorCommand() *cobra.Command {
	r := coordinate{app: a}
	r.http.listening, r.monitor.listening = &r.listening, &r.listening
	cmd := asRole(&cobra.Command{
		Use: "coordinator", Short: "Run a coordinator, with the HTTP API where --gateway says",
		Long: `Places runs on executors and looks after them, for one namespace behind the NATS server that --server names. Of several
coordinators of a namespace one serves and the others stand by: they take over at once when it leaves, three seconds after it
died, and ten after it was cut off.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return r.run(cmd.Context()) },
	})
	f := cmd.Flags()
	f.StringVar(&r.name, "name", "", "unique in the namespace (default the host's name and a random part)")
	f.IntVar(&r.replicas, "replicas", 0, "NATS servers that keep each key: 1, 3 or 5 (default what there is, and 1 for a new store); more than there are adds replicas")
	r.http.flags(f, "gateway", "", "`host:port` of the HTTP API, such as 127.0.0.1:8080; \"\" is none")
	r.monitor.flags(f)
	r.listening.flag(f)
	return cmd
}

func (r *coordinate) run(ctx context.Context) (err error) {
	log := r.logger(slog.LevelInfo)
	if r.name == "" {
		r.name = nodeName("coordinator")
	}
	var api net.Listener
	if r.http.addr != "" {
		if api, err = r.http.open(ctx); err != nil {
			return err
		}
		defer func() { _ = api.Close() }() // closed by then, unless something failed
	}
	watched, err := r.monitor.open(ctx)
	if err != nil {
		return err
	}
	if watched != nil {
		defer func() { _ = watched.Close() }()
	}
	b, err := backbone.Dial(ctx, backbone.Options{
		Namespace: r.set.Namespace, Conn: r.set.conn(r.name, log), Replicas: r.replicas, Logger: log,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var announced sync.Once
	var unsaid error // why nobody could be told
	var serving atomic.Pointer[coordinator.Coordinator]
	reg := processMetrics()
	coordinatorMetrics(reg, serving.Load)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		return coordinator.Shift{
			Name: r.name, Namespace: b.Namespace, Bus: b.Bus, System: b.System, Logger: log,
			Start: func(ctx context.Context) (*coordinator.Coordinator, error) {
				return cluster.StartCoordinator(ctx, b, coordinator.Config{Name: r.name, Logger: log})
			},
			Changed: func(c *coordinator.Coordinator) {
				serving.Store(c)
				announced.Do(func() {
					if unsaid = r.announce(api, watched, c != nil); unsaid != nil {
						stop()
					}
				})
			},
		}.Serve(ctx)
	})
	if api != nil {
		group.Go(func() error { return r.http.serve(ctx, api, b, reg, log) })
	}
	if watched != nil {
		// One that stands by does its work too, as long as it sees the lease.
		group.Go(func() error { return r.monitor.serve(ctx, watched, reg, storeAnswers(b), log) })
	}
	return errors.Join(group.Wait(), unsaid)
}

// announce says that the role is up: it serves, or stands by.
func (r *coordinate) announce(api, metrics net.Listener, serves bool) error {
	state := "standing by"
	if serves {
		state = "serving"
	}
	x := map[string]string{"coordinator": r.name, "namespace": r.set.Namespace, "state": state}
	for key, ln := range map[string]net.Listener{"http": api, "metrics": metrics} {
		if ln != nil {
			x[key] = "http://" + ln.Addr().String()
		}
	}
	return r.printObject(x, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "coordinator %s is up, namespace %s, %s\n", r.name, r.set.Namespace, state)
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
