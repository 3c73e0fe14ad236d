package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/squall-faas/squall"
	"github.com/squall-faas/squall/client"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/load"
	"github.com/squall-faas/squall/internal/ycsb"
)

// targetFlags say what squall bench ycsb measures.
type targetFlags struct {
	names      []string
	durability string
	redis      string
	http       string
	replicas   int
	executors  int
	slots      int
	cache      byteSize
	wasm       string
	client     *client.Client
	made       []load.Target
	processes  []*ownExecutor
}

var targetNames = []string{"squall", "functions", "http", "jetstream", "jetstream-blind", "redis", "memory", "null"}

func (t *targetFlags) flags(f *pflag.FlagSet) {
	f.StringSliceVar(&t.names, "target", []string{"squall"}, "what is measured: "+strings.Join(targetNames, ", ")+"; functions:100 has 100 operations a call")
	f.StringVar(&t.durability, "durability", "", "`word` for what the servers were set up for, such as durable-R1: it is part of the names of cases")
	f.StringVar(&t.redis, "redis", "127.0.0.1:6379", "`host:port` of the target redis")
	f.StringVar(&t.http, "http", "http://127.0.0.1:8080", "`URL` of the gateway of the target http; its token is SQUALL_HTTP_TOKEN")
	f.IntVar(&t.replicas, "replicas", 1, "of the bucket of the target jetstream")
	f.IntVar(&t.executors, "executors", 1, "processes that this command starts for the functions; 0 where others have them")
	f.IntVar(&t.slots, "slots", 0, "functions that run at once in each (default the number of cores, at least 2)")
	f.Var(&t.cache, "cache", "memory of the cache of each (default as of squall executor)")
	f.StringVar(&t.wasm, "wasm", "", "register the functions as WebAssembly, from `directory` internal/load/ops of a checkout, for executors that run already")
}

// open makes the targets, in their order, and the operations a call of each case; pids are of processes that were started.
func (t *targetFlags) open(ctx context.Context, a *app, w *ycsb.Workload, perCall []int) (targets []load.Target, per []load.PerCall, pids []int, err error) {
	at := map[string]int{}
	for _, name := range t.names {
		name, ops, given := strings.Cut(name, ":")
		counts := perCall
		if given {
			n, err := strconv.Atoi(ops)
			if err != nil || n < 1 {
				return nil, nil, nil, fault.New(fault.InvalidArgument, "target %s:%s: write %s:100 for 100 operations a call", name, ops, name)
			}
			counts = []int{n}
		}
		if len(counts) == 0 {
			counts = []int{0}
		}
		if _, ok := at[name]; !ok {
			target, err := t.target(ctx, a, name)
			if err != nil {
				return nil, nil, nil, err
			}
			at[name] = len(t.made)
			t.made = append(t.made, target)
		}
		for _, n := range counts {
			per = append(per, load.PerCall{Target: at[name], Ops: n})
		}
	}
	if _, ok := at["functions"]; ok && t.wasm == "" {
		if pids, err = t.startExecutors(ctx, a, w); err != nil {
			return nil, nil, nil, err
		}
	}
	return t.made, per, pids, nil
}

func (t *targetFlags) target(ctx context.Context, a *app, name string) (load.Target, error) {
	switch name {
	case "null":
		return load.Null{}, nil
	case "memory":
		return load.NewMemory(), nil
	case "redis":
		return &load.Redis{Address: t.redis, Durability: t.durability}, nil
	case "http":
		token, err := secret("SQUALL_HTTP_TOKEN")
		return &load.HTTP{URL: t.http, Token: token, Durability: t.durability}, err
	case "jetstream", "jetstream-blind":
		s := a.set
		return &load.JetStream{
			URL: s.Server, CredsFile: s.Creds, NKeyFile: s.NKey, User: s.User, Password: s.Password, Token: s.Token,
			Replicas: t.replicas, Durability: t.durability, Blind: name == "jetstream-blind",
		}, nil
	case "squall", "functions":
		if err := t.connect(ctx, a); err != nil {
			return nil, err
		}
		if name == "squall" {
			return &load.Squall{Client: t.client, Durability: t.durability}, nil
		}
		f := &load.Functions{Client: t.client, Durability: t.durability}
		if t.wasm != "" {
			f.Register = func(ctx context.Context, name, function string) error {
				_, err := t.client.Register(ctx, name, client.GoPackage(t.wasm, function))
				return err
			}
		}
		return f, nil
	}
	return nil, fault.New(fault.InvalidArgument, "no target %q: use one of %s", name, strings.Join(targetNames, ", "))
}

func (t *targetFlags) connect(ctx context.Context, a *app) (err error) {
	if t.client != nil {
		return nil
	}
	s := a.set
	t.client, err = client.Connect(ctx, s.Server, client.Options{
		Namespace: s.Namespace, CredsFile: s.Creds, NKeyFile: s.NKey, User: s.User, Password: s.Password, Token: s.Token, Logger: a.logger(slog.LevelWarn),
	})
	return err
}

func (t *targetFlags) close() error {
	var errs []error
	for _, m := range t.made {
		errs = append(errs, m.Close())
	}
	if t.client != nil {
		errs = append(errs, t.client.Close())
	}
	for _, p := range t.processes {
		errs = append(errs, p.stop())
	}
	return errors.Join(errs...)
}

// executorConfig is what an executor of squall bench ycsb is told, on its standard input: it has secrets.
type executorConfig struct {
	Settings  settings          `json:"settings"`
	Slots     int               `json:"slots"`
	Cache     int64             `json:"cache"`
	Functions map[string]string `json:"functions"`
}

// ownExecutor is one that this command has started. It ends with its standard input, and so with this process.
type ownExecutor struct {
	cmd   *exec.Cmd
	input io.WriteCloser
}

func (t *targetFlags) startExecutors(ctx context.Context, a *app, w *ycsb.Workload) (pids []int, err error) {
	if t.executors == 0 {
		return nil, nil
	}
	path, err := os.Executable()
	if err != nil {
		return nil, fault.New(fault.Unavailable, "find this program, to start it as executors: %w", err)
	}
	config, err := json.Marshal(executorConfig{a.set, t.slots, int64(t.cache), load.Needs(w)})
	if err != nil {
		return nil, fault.New(fault.Internal, "configuration of an executor: %w", err)
	}
	for range t.executors {
		p := &ownExecutor{cmd: exec.Command(path, "bench", "executor")} //nolint:noctx // it ends with its standard input, after what is under way
		p.cmd.Stderr = a.errs
		if p.input, err = p.cmd.StdinPipe(); err != nil {
			return nil, fault.New(fault.Unavailable, "start an executor: %w", err)
		}
		out, err := p.cmd.StdoutPipe()
		if err != nil {
			return nil, fault.New(fault.Unavailable, "start an executor: %w", err)
		}
		if err := p.cmd.Start(); err != nil {
			return nil, fault.New(fault.Unavailable, "start an executor: %w", err)
		}
		t.processes = append(t.processes, p)
		if _, err := p.input.Write(append(config, '\n')); err != nil {
			return nil, fault.New(fault.Unavailable, "start an executor: %w", err)
		}
		ready := make(chan error, 1)
		go func() {
			_, err := bufio.NewReader(out).ReadString('\n')
			ready <- err
		}()
		select {
		case err := <-ready:
			if err != nil {
				return nil, fault.New(fault.Unavailable, "an executor ended before it was up: what it said is above")
			}
		case <-ctx.Done():
			return nil, fault.From(ctx.Err())
		}
		pids = append(pids, p.cmd.Process.Pid)
	}
	return pids, nil
}

// stopWait is how long an executor may take to end.
const stopWait = 15 * time.Second

func (p *ownExecutor) stop() error {
	_ = p.input.Close()
	late := time.AfterFunc(stopWait, func() { _ = p.cmd.Process.Kill() })
	defer late.Stop()
	if err := p.cmd.Wait(); err != nil {
		return fault.New(fault.ExecutorCrashed, "an executor ended badly: %w", err)
	}
	return nil
}

// benchExecutorCommand is such an executor's process.
func (a *app) benchExecutorCommand() *cobra.Command {
	return &cobra.Command{
		Use: "executor", Hidden: true, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			signal.Ignore(os.Interrupt) // the terminal's reaches the whole group; whoever started it ends it
			return serveFunctions(cmd.Context(), a.in, a.out)
		},
	}
}

// serveFunctions runs an executor with the functions that its configuration names, until in ends.
func serveFunctions(ctx context.Context, in io.Reader, out io.Writer) (err error) {
	lines := bufio.NewReader(in)
	text, err := lines.ReadBytes('\n')
	var cfg executorConfig
	if err == nil {
		err = json.Unmarshal(text, &cfg)
	}
	if err != nil {
		return fault.New(fault.InvalidArgument, "configuration of an executor: %w", err)
	}
	s := cfg.Settings
	j, err := squall.Join(ctx, s.Server, squall.JoinConfig{
		Namespace: s.Namespace, CredsFile: s.Creds, NKeyFile: s.NKey, User: s.User, Password: s.Password, Token: s.Token,
		Slots: cfg.Slots, CacheBytes: cfg.Cache, NoWasm: true,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, j.Close()) }()
	impls := load.Impls()
	for _, name := range slices.Sorted(maps.Keys(cfg.Functions)) {
		if _, err := j.Register(ctx, name, client.Func(impls[cfg.Functions[name]])); err != nil {
			return err
		}
	}
	if _, err := fmt.Fprintln(out, "ready"); err != nil {
		return fault.New(fault.Unavailable, "nobody listens: %w", err)
	}
	ended := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, lines) // its end is all that it says
		close(ended)
	}()
	select {
	case <-ended:
	case <-ctx.Done():
	}
	return nil
}
