package bench

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strings"
	"sync"

	"github.com/squall-faas/squall/coordinator"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/backbone"
	"github.com/squall-faas/squall/internal/cluster"
	"github.com/squall-faas/squall/internal/natsconn"
)

// Roles of nodes.
const (
	roleNATS        = "nats"
	roleCoordinator = "coordinator"
	roleExecutor    = "executor"
	roleBareFirst   = "bare-a"
	roleBareSecond  = "bare-b"
	roleTCPFirst    = "tcp-a"
	roleTCPSecond   = "tcp-b"
	roleLender      = "lender"
	roleCopy        = "copy"
)

// voice says a node's events, a line each. Safe for concurrent use.
type voice struct {
	mu  sync.Mutex
	out io.Writer
}

func (v *voice) say(e event) {
	b, _ := json.Marshal(e) // three strings
	v.mu.Lock()
	defer v.mu.Unlock()
	_, _ = v.out.Write(append(b, '\n')) // a suite that is gone closes stdin too
}

// RunNode is a whole node's life: it takes up the role that config names, says so on out, and ends when in does or
// ctx ends. For the processes that a suite starts.
func RunNode(ctx context.Context, config string, in io.Reader, out io.Writer) error {
	v := &voice{out: out}
	err := runNode(ctx, config, in, v)
	if err != nil {
		v.say(event{Err: err.Error()})
	}
	return err
}

func runNode(ctx context.Context, config string, in io.Reader, v *voice) (err error) {
	var cfg nodeConfig
	if err := json.Unmarshal([]byte(config), &cfg); err != nil {
		return fault.New(fault.InvalidArgument, "configuration of a node: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, in) // its end is all that it says
		cancel()
	}()
	if cfg.Profile != "" {
		stop, err := profile(cfg.Profile)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, stop()) }()
	}
	address, end, err := takeUp(ctx, cfg, v)
	if err != nil {
		return err
	}
	v.say(event{Ready: address})
	<-ctx.Done()
	return end()
}

// takeUp starts what the role asks for; it gives the address, or the name where a role has none, and what ends it.
func takeUp(ctx context.Context, cfg nodeConfig, v *voice) (address string, end func() error, err error) {
	switch cfg.Role {
	case roleNATS:
		o := natsconn.ServerOptions{StoreDir: cfg.Dir, Listen: "127.0.0.1:0"}
		if cfg.Dir == "" {
			o.Durability = natsconn.Memory
		}
		s, err := natsconn.Embed(o)
		if err != nil {
			return "", nil, err
		}
		return s.URL(), func() error { s.Shutdown(); return nil }, nil
	case roleCoordinator:
		b, err := backbone.Dial(ctx, backbone.Options{Conn: natsconn.Options{URL: cfg.URL, Name: cfg.Name}, Shards: cfg.Shards})
		if err != nil {
			return "", nil, err
		}
		c, err := cluster.StartCoordinator(ctx, b, coordinator.Config{Name: cfg.Name})
		if err != nil {
			return "", nil, errors.Join(err, b.Close())
		}
		return cfg.Name, func() error { return errors.Join(c.Close(), b.Close()) }, nil
	case roleExecutor:
		e, err := join(ctx, cfg, v)
		if err != nil {
			return "", nil, err
		}
		return cfg.Name, e.close, nil
	case roleBareFirst, roleBareSecond:
		end, err := bare(cfg)
		return cfg.Name, end, err
	case roleLender:
		return lender(ctx, cfg)
	case roleCopy:
		return copier(ctx)
	case roleTCPFirst, roleTCPSecond:
		return relay(ctx, cfg)
	}
	return "", nil, fault.New(fault.InvalidArgument, "no node has the role %q", cfg.Role)
}

// profile writes this process's CPU profile to a file until stop, and then what it has allocated to a file beside it. It
// makes their directory where there is none.
func profile(file string) (stop func() error, err error) {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return nil, fault.New(fault.InvalidArgument, "directory of profiles: %w", err)
	}
	f, err := os.Create(file)
	if err != nil {
		return nil, fault.New(fault.InvalidArgument, "file of the CPU profile: %w", err)
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(fault.New(fault.InvalidArgument, "CPU profile: %w", err), f.Close())
	}
	return func() error {
		pprof.StopCPUProfile()
		return errors.Join(f.Close(), allocations(strings.TrimSuffix(file, ".pprof")+".allocs.pprof"))
	}, nil
}

func allocations(file string) error {
	f, err := os.Create(file)
	if err != nil {
		return fault.New(fault.InvalidArgument, "file of the allocation profile: %w", err)
	}
	return errors.Join(pprof.Lookup("allocs").WriteTo(f, 0), f.Close())
}
