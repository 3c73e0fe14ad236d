package bench

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"time"

	"github.com/squall-faas/squall/client"
	"github.com/squall-faas/squall/executor/runtime"
	"github.com/squall-faas/squall/executor/runtime/native"
	"github.com/squall-faas/squall/executor/runtime/wasm"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/fn"
	"github.com/squall-faas/squall/internal/backbone"
	"github.com/squall-faas/squall/internal/cluster"
	"github.com/squall-faas/squall/internal/natsconn"
)

// member is an executor in its own process, put together as squall.Join does it.
type member struct {
	backbone *backbone.Backbone
	node     *cluster.ExecutorNode
	client   *client.Client
	wasm     *wasm.Runtime
	voice    *voice
	copies   map[string][]byte // readCached's own, made by its first call; it is called once at a time
	hits     hitReader
	record   recorder
	batches  *batchCounter
	pulls    pulls
	chain    chainMaker
	ends     []func() error // of what functions have started
}

// join starts an executor and registers the native functions that cfg names.
func join(ctx context.Context, cfg nodeConfig, v *voice) (m *member, err error) {
	m = &member{voice: v}
	defer func() {
		if err != nil {
			err = errors.Join(err, m.close())
		}
	}()
	m.backbone, err = backbone.Dial(ctx, backbone.Options{Conn: natsconn.Options{URL: cfg.URL, Name: cfg.Name}})
	if err != nil {
		return m, err
	}
	m.batches = &batchCounter{Store: m.backbone.User}
	m.backbone.User = m.batches
	natives := native.New()
	ec := cluster.ExecutorConfig{Name: cfg.Name, Natives: natives, CacheBytes: cfg.Cache, Slots: cfg.Slots,
		HoldBytes: cfg.Hold, Unshared: cfg.Unshared, Observed: m.pulls.observed}
	if cfg.Wasm {
		if m.wasm, err = wasm.New(ctx, wasm.Config{CacheDir: compiled()}); err != nil {
			return m, err
		}
		ec.Runtimes = []runtime.Runtime{m.wasm}
	}
	if m.node, err = cluster.StartExecutor(m.backbone, ec); err != nil {
		return m, err
	}
	natives.OnChange(m.node.Announce)
	if m.client, err = client.Over(m.backbone, natives, nil); err != nil {
		return m, err
	}
	functions := m.functions()
	maps.Copy(functions, m.transferFunctions())
	for _, name := range cfg.Functions {
		impl, ok := functions[name]
		if !ok {
			return m, fault.New(fault.InvalidArgument, "the benchmark has no function %q", name)
		}
		if _, err := m.client.Register(ctx, name, impl); err != nil {
			return m, err
		}
	}
	return m, nil
}

// compiled is where wasm modules are kept compiled, the same place as squall.Join's.
func compiled() string {
	base, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(base, "squall", "wasm")
}

func (m *member) close() error {
	var errs []error
	for _, end := range m.ends {
		errs = append(errs, end())
	}
	if m.client != nil {
		errs = append(errs, m.client.Close())
	}
	if m.node != nil {
		// What was answered is known to the coordinator then, too; it would run it again elsewhere.
		ctx, cancel := context.WithTimeout(context.Background(), stopWait/2)
		_ = m.node.Drain(ctx) // as far as it comes
		cancel()
		errs = append(errs, m.node.Close())
	}
	if m.wasm != nil {
		errs = append(errs, m.wasm.Close())
	}
	if m.backbone != nil {
		errs = append(errs, m.backbone.Close())
	}
	return errors.Join(errs...)
}

// Names of the native functions. Those of compose_cross are the same funcs as those of compose_same under names that
// one executor each has.
const (
	fnIncrement      = "increment"
	fnSquare         = "square"
	fnCrossIncrement = "cross-increment"
	fnCrossSquare    = "cross-square"
	fnReadCached     = "read-cached"
	fnLinger         = "linger"
)

func increment(_ fn.Context, x int) (int, error) { return x + 1, nil }
func square(_ fn.Context, x int) (int, error)    { return x * x, nil }

func (m *member) functions() map[string]client.Impl {
	return map[string]client.Impl{
		fnIncrement: client.Native(increment), fnCrossIncrement: client.Native(increment),
		fnSquare: client.Native(square), fnCrossSquare: client.Native(square),
		fnReadCached: client.Native(m.readCached), fnLinger: client.Native(m.linger),
		fnHits: client.Native(m.readHits), fnPuts: client.Native(m.putMany),
		fnOwned: client.Native(m.owned), fnSumHot: client.Func(m.sums()), fnSumPeer: client.Func(m.sums()), fnSumFresh: client.Func(m.sums()),
		fnChainMake: client.Native(m.chain.make), fnChainPass: client.Native(chainPass), fnChainCross: client.Native(chainPass),
		fnChainJudge: client.Native(chainJudge),
		stepName(0):  client.Native2(m.step), stepName(1): client.Native2(m.step), stepName(2): client.Native2(m.step),
		harvestName(0): client.Native(m.harvest), harvestName(1): client.Native(m.harvest), harvestName(2): client.Native(m.harvest),
	}
}

// lingerFor is how long the step that is killed takes by itself.
const lingerFor = 300 * time.Millisecond

// linger says that it has begun, takes its time, and gives x plus one.
func (m *member) linger(c fn.Context, x int) (int, error) {
	m.voice.say(event{Began: c.RunID()})
	t := time.NewTimer(lingerFor)
	defer t.Stop()
	select {
	case <-t.C:
		return x + 1, nil
	case <-c.Done():
		return 0, c.Err()
	}
}
