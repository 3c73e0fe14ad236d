package squall

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"time"

	"github.com/squall-faas/squall/client"
	"github.com/squall-faas/squall/executor/runtime"
	"github.com/squall-faas/squall/executor/runtime/native"
	"github.com/squall-faas/squall/executor/runtime/wasm"
	"github.com/squall-faas/squall/internal/backbone"
	"github.com/squall-faas/squall/internal/cluster"
	"github.com/squall-faas/squall/internal/id"
	"github.com/squall-faas/squall/internal/natsconn"
)

// JoinConfig of Join. The zero JoinConfig is usable.
type JoinConfig struct {
	Name       string // of the executor; "" is the host's name and a random part
	Namespace  string // "" is "default"
	Slots      int    // functions that run at once; 0 is the number of cores, at least 2
	CacheBytes int64  // 0 is 256 MiB
	WasmCache  string // where compiled modules are kept; "" is a directory of the user's cache
	NoWasm     bool   // run this program's own functions only

	CredsFile      string // path of a NATS .creds file
	User, Password string // or a user
	Token          string // or a token

	Logger *slog.Logger // nil discards
}

// Joined is an executor in this process, and a client of the cluster it has joined.
type Joined struct {
	*client.Client
	node     *cluster.ExecutorNode
	backbone *backbone.Backbone
	wasm     *wasm.Runtime
}

// Join adds an executor in this process to the cluster behind a NATS server: what is registered with Native then runs
// here. It returns once connected; unreachable where no server answers. Close it.
func Join(ctx context.Context, url string, cfg JoinConfig) (j *Joined, err error) {
	if cfg.Name == "" {
		cfg.Name = nodeName()
	}
	j = &Joined{}
	defer func() {
		if err != nil {
			err = errors.Join(err, j.Close())
			j = nil
		}
	}()
	j.backbone, err = backbone.Dial(ctx, backbone.Options{
		Namespace: cfg.Namespace, Logger: cfg.Logger,
		Conn: natsconn.Options{URL: url, Name: cfg.Name, CredsFile: cfg.CredsFile, User: cfg.User, Password: cfg.Password, Token: cfg.Token},
	})
	if err != nil {
		return j, err
	}
	natives := native.New()
	ec := cluster.ExecutorConfig{
		Name: cfg.Name, Slots: cfg.Slots, CacheBytes: cfg.CacheBytes, Natives: natives, Release: Version, Logger: cfg.Logger,
	}
	if !cfg.NoWasm {
		if j.wasm, err = wasm.New(ctx, wasm.Config{CacheDir: wasmCache(cfg.WasmCache), Logger: cfg.Logger}); err != nil {
			return j, err
		}
		ec.Runtimes = []runtime.Runtime{j.wasm}
	}
	node, err := cluster.StartExecutor(j.backbone, ec)
	if err != nil {
		return j, err // what it gives then is closed already
	}
	j.node = node
	natives.OnChange(j.node.Announce)
	j.Client, err = client.Over(j.backbone, natives, cfg.Logger)
	return j, err
}

// nodeName is a legal name that other processes of this host do not have.
func nodeName() string {
	host, err := os.Hostname()
	if err != nil || id.CheckName("host", host) != nil {
		host = "node"
	}
	return host[:min(len(host), 64)] + "-" + id.Token(6)
}

// Drain stops taking runs and waits for those under way.
func (j *Joined) Drain(ctx context.Context) error { return j.node.Drain(ctx) }

// Stuck is how many native functions run on past their deadline, each keeping a slot.
func (j *Joined) Stuck() int { return j.node.Stuck() }

// Slots is how many functions run here at once.
func (j *Joined) Slots() int { return j.node.Slots() }

// Close waits up to ten seconds for runs under way, then leaves the cluster.
func (j *Joined) Close() error {
	var errs []error
	if j.node != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		if err := j.node.Drain(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			errs = append(errs, err)
		}
		cancel()
	}
	if j.Client != nil {
		errs = append(errs, j.Client.Close())
	}
	if j.node != nil {
		errs = append(errs, j.node.Close())
	}
	if j.wasm != nil {
		errs = append(errs, j.wasm.Close())
	}
	if j.backbone != nil {
		errs = append(errs, j.backbone.Close())
	}
	return errors.Join(errs...)
}
