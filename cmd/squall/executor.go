package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/squall-faas/squall"
	"github.com/squall-faas/squall/fault"
)

// execution is the executor's role.
type execution struct {
	*app
	name, wasm         string
	dataPort, announce string
	slots              int
	cache              byteSize
	lend               lendSize
	lendPort           string
	drain              time.Duration
	supervise          bool
	monitor            monitor
	listening          listening
}

func (a *app) executorCommand() *cobra.Command {
	r := execution{app: a}
	r.monitor.listening = &r.listening
	cmd := asRole(&cobra.Command{
		Use: "executor", Short: "Run an executor",
		Long: `Runs the WebAssembly functions of one namespace behind the NATS server that --server names. Go funcs run in the
programs that define them, by squall.Join.

It finishes what is under way when it is asked to end (SIGTERM, Ctrl-C), for --drain at most. With --supervise it runs as
a child process that is started again when it dies or does not answer.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if r.supervise {
				return supervised(cmd.Context(), os.Args[1:], a, r.drain+grace)
			}
			return r.run(cmd.Context())
		},
	})
	f := cmd.Flags()
	f.StringVar(&r.name, "name", "", "unique in the namespace (default the host's name and a random part)")
	f.IntVar(&r.slots, "slots", 0, "functions that run at once (default the number of cores, at least 2)")
	f.Var(&r.cache, "cache", "memory of the cache (default 40 % of the container's limit, 256MiB where there is none)")
	f.Var(&r.lend, "lend", lendUsage)
	f.StringVar(&r.lendPort, "lend-port", "", "`host:port` at which lent memory is reached (default the data port's host, any port)")
	f.StringVar(&r.wasm, "wasm-cache", "", "`directory` of compiled modules (default squall/wasm of the user's cache)")
	f.StringVar(&r.dataPort, "data-port", "", "`host:port` at which executors of other hosts fetch large values (default the loopback, any port)")
	f.StringVar(&r.announce, "announce", "", "`host:port` at which they reach it (default the data port, at this host's address on the way to NATS)")
	r.monitor.flags(f)
	r.listening.flag(f)
	f.DurationVar(&r.drain, "drain", 30*time.Second, "most time to finish what is under way")
	f.BoolVar(&r.supervise, "supervise", false, "run as a child process, and start it again when it dies or does not answer")
	return cmd
}

func (r *execution) run(ctx context.Context) (err error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	log := r.logger(slog.LevelInfo)
	if r.name == "" {
		r.name = nodeName("executor")
	}
	watched, err := r.monitor.open(ctx)
	if err != nil {
		return err
	}
	if watched != nil {
		defer func() { _ = watched.Close() }() // closed by then, unless something failed
	}
	j, err := squall.Join(ctx, r.set.Server, squall.JoinConfig{
		Name: r.name, Namespace: r.set.Namespace, Slots: r.slots, CacheBytes: int64(r.cache), WasmCache: r.wasm,
		CredsFile: r.set.Creds, NKeyFile: r.set.NKey, User: r.set.User, Password: r.set.Password, Token: r.set.Token, Logger: log,
		DataPort: r.dataPort, Announce: r.announce, LendBytes: int64(r.lend), LendPort: r.lendPort,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, j.Close()) }()
	if os.Getenv(supervisedEnv) != "" {
		go beat(ctx, stop, r.in, r.out)
	}
	x := map[string]any{"executor": r.name, "namespace": r.set.Namespace, "slots": j.Slots()}
	err = r.printObject(x, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "executor %s is up, namespace %s, %d slots\n", r.name, r.set.Namespace, j.Slots())
		return err
	})
	if err != nil {
		return err
	}
	if watched != nil {
		reg := processMetrics()
		if err := j.RegisterMetrics(reg); err != nil {
			return err
		}
		group := new(errgroup.Group)
		group.Go(func() error { return r.monitor.serve(ctx, watched, reg, j.Ready, log) })
		defer func() {
			stop()
			err = errors.Join(err, group.Wait())
		}()
	}
	stuck := awaitEnd(ctx, j)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.drain)
	defer cancel()
	if err := j.Drain(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if stuck {
		return fault.New(fault.ExecutorCrashed, "%d of %d slots are held by native functions that ignore their deadline: start the executor again, as --supervise does", j.Stuck(), j.Slots())
	}
	return nil
}

// awaitEnd returns when ctx ends, or, with true, when half of the slots are held by native functions that ignore their
// deadline: nothing but a new process gets them back.
func awaitEnd(ctx context.Context, j interface {
	Stuck() int
	Slots() int
}) bool {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-t.C:
			if s := j.Stuck(); s > 0 && 2*s >= j.Slots() {
				return true
			}
		}
	}
}
