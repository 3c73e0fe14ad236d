package bench

import (
	"context"

	"github.com/squall-faas/squall/client"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/backbone"
	"github.com/squall-faas/squall/internal/caller"
	"github.com/squall-faas/squall/internal/natsconn"
	"github.com/squall-faas/squall/internal/offload"
	"github.com/squall-faas/squall/internal/wire"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

// stage is a cluster of its own within a suite: a NATS server, a coordinator, executors, each a process, and this process
// as their client.
type stage struct {
	suite    *suite
	name     string // of its processes, after their roles
	url      string // of the NATS server
	nodes    []*node
	backbone *backbone.Backbone
	client   *client.Client
	caller   *caller.Caller
}

// stage starts one without executors. dir is of the NATS server's store; "" keeps it in memory.
func (s *suite) stage(ctx context.Context, name, dir string) (st *stage, err error) {
	st = &stage{suite: s, name: name}
	defer func() {
		if err != nil {
			st.close()
		}
	}()
	if st.url, err = st.start(nodeConfig{Role: roleNATS, Name: roleNATS + "-" + name, Dir: dir}); err != nil {
		return nil, err
	}
	if _, err = st.start(nodeConfig{Role: roleCoordinator, Name: roleCoordinator + "-" + name, URL: st.url, Shards: s.shards}); err != nil {
		return nil, err
	}
	st.backbone, err = backbone.Dial(ctx, backbone.Options{Conn: natsconn.Options{URL: st.url, Name: "bench-" + name}})
	if err != nil {
		return nil, err
	}
	if st.client, err = client.Over(st.backbone, nil, nil); err != nil {
		return nil, err
	}
	off, err := offload.New(offload.Config{Store: st.backbone.System})
	if err != nil {
		return nil, err
	}
	st.caller, err = caller.New(caller.Config{Bus: st.backbone.Bus, Offload: off, Namespace: st.backbone.Namespace})
	return st, err
}

func (st *stage) start(cfg nodeConfig) (address string, err error) {
	n, address, err := st.suite.fleet.start(cfg)
	if err == nil {
		st.nodes = append(st.nodes, n)
	}
	return address, err
}

// executor starts one with functions.
func (st *stage) executor(cfg nodeConfig) (*node, error) {
	cfg.Role, cfg.URL = roleExecutor, st.url
	if _, err := st.start(cfg); err != nil {
		return nil, err
	}
	return st.nodes[len(st.nodes)-1], nil
}

// procs are the stage's processes, whose CPU time is a case's.
func (st *stage) procs() map[string]*node {
	out := map[string]*node{}
	for _, n := range st.nodes {
		out[n.name] = n
	}
	return out
}

// close ends the stage's processes, the last started first.
func (st *stage) close() {
	if st.caller != nil {
		st.caller.Close()
	}
	if st.client != nil {
		_ = st.client.Close() // what is measured is measured
	}
	if st.backbone != nil {
		_ = st.backbone.Close()
	}
	for i := len(st.nodes) - 1; i >= 0; i-- {
		st.nodes[i].stop()
	}
}

// callAt calls a function at a consistency level.
func callAt[O any](ctx context.Context, st *stage, level kvs.Level, function string, arg any) (O, error) {
	var zero O
	v, err := value.Of(arg)
	if err != nil {
		return zero, err
	}
	out, err := st.caller.Call(ctx, caller.Request{Target: wire.TargetFunction, Name: function, Values: []value.Value{v}, Level: level})
	if err != nil {
		return zero, fault.New(fault.CodeOf(err), "function %s at %v: %w", function, level, err)
	}
	return value.As[O](out.Values[0])
}
