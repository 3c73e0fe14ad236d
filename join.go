package squall

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"os"
	"time"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/squall-faas/squall/client"
	"github.com/squall-faas/squall/executor/runtime"
	"github.com/squall-faas/squall/executor/runtime/native"
	"github.com/squall-faas/squall/executor/runtime/wasm"
	"github.com/squall-faas/squall/fault"
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
	CacheBytes int64  // 0 is 40 % of the memory limit of this process's container, 256 MiB where it has none
	LendBytes  int64  // lent to the fleet at most, for objects; 0 is a quarter of the memory there is, negative lends nothing
	WasmCache  string // where compiled modules are kept; "" is a directory of the user's cache
	NoWasm     bool   // run this program's own functions only

	CredsFile      string // path of a NATS .creds file
	NKeyFile       string // or of a file with an nkey's seed
	User, Password string // or a user
	Token          string // or a token

	// DataPort is host:port at which the caches of other nodes fetch what is large; "" is the loopback, any port, which
	// serves the nodes of this host. Announce is the host:port at which they reach it; "" is DataPort, with this host's
	// address on the way to NATS where DataPort names all addresses. The port asks for the namespace's own secret.
	DataPort, Announce string
	// LendPort is host:port at which lent memory is reached; "" is the host of DataPort, any port. It is announced with the
	// host that DataPort is.
	LendPort string

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
		Conn: natsconn.Options{URL: url, Name: cfg.Name, CredsFile: cfg.CredsFile, NKeyFile: cfg.NKeyFile, User: cfg.User, Password: cfg.Password, Token: cfg.Token},
	})
	if err != nil {
		return j, err
	}
	natives := native.New()
	ec := cluster.ExecutorConfig{
		Name: cfg.Name, Slots: cfg.Slots, CacheBytes: cacheBytes(cfg.CacheBytes), Natives: natives, Release: Version, Logger: cfg.Logger,
		Listen: cfg.DataPort, Announce: announcement(ctx, cfg.DataPort, cfg.Announce, url),
		Lend: cluster.Lend{Most: cfg.LendBytes, Listen: cfg.LendPort},
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

// cacheShare is how much of a container's memory the cache takes where nobody says otherwise: functions, what is under way and
// the collector's room need the rest.
const cacheShare = 0.4

func cacheBytes(asked int64) int64 {
	if limit, err := memlimit.FromCgroup(); asked == 0 && err == nil && limit <= math.MaxInt64 {
		return int64(cacheShare * float64(limit))
	}
	return asked
}

// nodeName is a legal name that other processes of this host do not have.
func nodeName() string {
	host, err := os.Hostname()
	if err != nil || id.CheckName("host", host) != nil {
		host = "node"
	}
	return host[:min(len(host), 64)] + "-" + id.Token(6)
}

// RegisterMetrics registers the figures of this executor, its cache and what it lends with r. Once to a registerer.
func (j *Joined) RegisterMetrics(r prometheus.Registerer) error { return j.node.RegisterMetrics(r) }

// Ready is nil while this executor can do its work: it is connected, and the store answers.
func (j *Joined) Ready(ctx context.Context) error {
	_, err := j.backbone.System.Get(ctx, "readyz")
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	return err
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
