package gateway

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/caller"
	"github.com/squall-faas/squall/internal/id"
	"github.com/squall-faas/squall/internal/wire"
	"github.com/squall-faas/squall/value"
)

// asked is how a call wants to be run and answered.
type asked struct {
	async, keyed bool
	timeout      time.Duration
	bounded      bool // the request named the timeout
}

// callFunction: POST /v1/functions/{name}/calls.
func (g *Gateway) callFunction(c *gin.Context) error {
	req, a, err := g.request(c, wire.TargetFunction)
	if err != nil {
		return err
	}
	m, err := media(c)
	if err != nil {
		return err
	}
	body, release, err := g.body(c, insteadOfBody)
	if err != nil {
		return err
	}
	defer release()
	if req.Values, err = arguments(m, body); err != nil {
		return err
	}
	return g.run(c, req, a, func(r *caller.Result) error {
		if len(r.Values) != 1 {
			return fault.New(fault.Internal, "function %s answered with %d values", req.Name, len(r.Values))
		}
		return g.sendValue(c, r.Values[0], false)
	})
}

// runDAG: POST /v1/dags/{name}/runs.
func (g *Gateway) runDAG(c *gin.Context) error {
	req, a, err := g.request(c, wire.TargetDAG)
	if err != nil {
		return err
	}
	m, err := media(c)
	if err != nil {
		return err
	}
	body, release, err := g.body(c, insteadOfBody)
	if err != nil {
		return err
	}
	defer release()
	in, err := inputs(m, body)
	if err != nil {
		return err
	}
	req.Inputs, req.Values = in.names, in.values
	return g.run(c, req, a, func(r *caller.Result) error {
		return g.sendJSON(c, http.StatusOK, &runView{
			Run: r.Run.String(), State: wire.Succeeded.String(), Outputs: outputs(r), TookNs: int64(r.Took), Nodes: nodes(r),
		})
	})
}

// request reads what a call says beside its arguments.
func (g *Gateway) request(c *gin.Context, target wire.Target) (caller.Request, asked, error) {
	var a asked
	req := caller.Request{Target: target, Run: id.NewRun()}
	q, err := query(c, "timeout", "durable", "trace")
	if err != nil {
		return req, a, err
	}
	if req.Name, err = pathName(c, "name"); err != nil {
		return req, a, err
	}
	if err := id.CheckName(target.String(), req.Name); err != nil {
		return req, a, err
	}
	if a.timeout, err = g.wait(q, "timeout", defaultWait); err != nil {
		return req, a, err
	}
	a.bounded = q.Has("timeout")
	if q.Has("trace") {
		if req.Trace, err = truth("trace", q.Get("trace")); err != nil {
			return req, a, err
		}
	}
	durable := false
	if h := c.Request.Header.Values("Squall-Durable"); len(h) > 0 {
		if durable, err = truth("Squall-Durable", h[0]); err != nil {
			return req, a, err
		}
	}
	if q.Has("durable") {
		if durable, err = truth("durable", q.Get("durable")); err != nil {
			return req, a, err
		}
	}
	if durable {
		req.Mode |= wire.Durable
	}
	if req.Level, req.Ack, err = consistency(c); err != nil {
		return req, a, err
	}
	if req.Priority, err = priority(c); err != nil {
		return req, a, err
	}
	a.async = prefersAsync(c.Request.Header.Values("Prefer"))
	if a.keyed, err = keyed(c, &req); err != nil {
		return req, a, err
	}
	c.Header("Squall-Run", req.Run.String())
	return req, a, nil
}

// keyed names the run by the request's key, the same as the SDK does.
func keyed(c *gin.Context, req *caller.Request) (bool, error) {
	key, given, err := idempotencyKey(c)
	if given {
		req.Run = id.RunFromKey(req.Target.String()+"/"+req.Name, key)
	}
	return given, err
}

func idempotencyKey(c *gin.Context) (key string, given bool, err error) {
	keys := c.Request.Header.Values("Idempotency-Key")
	if len(keys) == 0 {
		return "", false, nil
	}
	if len(keys) > 1 || keys[0] == "" || len(keys[0]) > maxKeyLen {
		return "", false, fault.New(fault.InvalidArgument, "Idempotency-Key: give one of 1 to %d bytes", maxKeyLen)
	}
	return keys[0], true, nil
}

// prefersAsync reads Prefer (RFC 7240).
func prefersAsync(headers []string) bool {
	for _, h := range headers {
		for p := range strings.SplitSeq(h, ",") {
			p, _, _ = strings.Cut(p, ";")
			if strings.EqualFold(strings.TrimSpace(p), "respond-async") {
				return true
			}
		}
	}
	return false
}

// run runs a request as it asks for, and answers it.
func (g *Gateway) run(c *gin.Context, req caller.Request, a asked, answer func(*caller.Result) error) error {
	if a.async {
		if a.bounded {
			req.RunTime = a.timeout
		}
		if err := g.start(c.Request.Context(), req); err != nil {
			return placed(err, req.Run)
		}
		c.Header("Location", "/v1/runs/"+req.Run.String())
		c.Header("Preference-Applied", "respond-async")
		return g.sendJSON(c, http.StatusAccepted, runView{Run: req.Run.String(), State: wire.Running.String()})
	}
	linger(c, a.timeout)
	r, err := g.outcome(c.Request.Context(), req, a)
	if err != nil {
		return placed(err, req.Run)
	}
	if req.Trace {
		c.Header("Server-Timing", serverTiming(r.Stats))
	}
	return answer(r)
}

// start has a run admitted.
func (g *Gateway) start(ctx context.Context, req caller.Request) error {
	_, _, err := g.admissions.join(ctx, req.Run, true, func(ctx context.Context) (*caller.Result, error) {
		_, err := g.admit.Start(ctx, req) // bounds itself
		return nil, err
	})
	return err
}

// outcome runs a sync call.
func (g *Gateway) outcome(ctx context.Context, req caller.Request, a asked) (*caller.Result, error) {
	if req.Mode.Durable() {
		// Not Call, which would cancel the run when its client goes away.
		req.RunTime = a.timeout
		if err := g.start(ctx, req); err != nil {
			return nil, err
		}
		ctx, cancel := context.WithTimeout(ctx, a.timeout+time.Second) // the cluster's own error names the node
		defer cancel()
		return g.outcomeOf(ctx, req.Run)
	}
	call := func(ctx context.Context) (*caller.Result, error) {
		ctx, cancel := context.WithTimeout(ctx, a.timeout)
		defer cancel()
		return g.await.Call(ctx, req)
	}
	if !a.keyed {
		return call(ctx)
	}
	for {
		r, mine, err := g.outcomes.join(ctx, req.Run, true, call)
		if !mine && (fault.Is(err, fault.UnknownRun) || fault.Is(err, fault.InvalidArgument)) {
			continue // we had joined one who asked for the run before it was there
		}
		return r, err
	}
}

// outcomeOf waits for the end of a run that is recorded.
func (g *Gateway) outcomeOf(ctx context.Context, run id.Run) (*caller.Result, error) {
	r, _, err := g.outcomes.join(ctx, run, false, func(ctx context.Context) (*caller.Result, error) {
		return g.await.Await(ctx, run)
	})
	return r, err
}

// placed names the run in an error that does not.
func placed(err error, run id.Run) error {
	return fault.From(err).With(func(e *fault.Error) {
		if e.Run == "" {
			e.Run = run.String()
		}
	})
}

func outputs(r *caller.Result) map[string]value.Value {
	out := make(map[string]value.Value, len(r.Names))
	for i, name := range r.Names {
		out[name] = r.Values[i]
	}
	return out
}

// nodeView is where the time of one node went.
type nodeView struct {
	Node   string `json:"node"`
	Calls  int    `json:"calls"`
	Again  int    `json:"again,omitempty"` // calls that were retries
	BusyNs int64  `json:"busy_ns"`
	WaitNs int64  `json:"wait_ns"`
	MaxNs  int64  `json:"max_ns"`
}

func nodes(r *caller.Result) []nodeView {
	var out []nodeView
	for _, s := range r.Stats {
		out = append(out, nodeView{s.Name, s.Count, s.Tries, s.Busy, s.Wait, s.Max})
	}
	return out
}

// serverTiming is the header of that name (W3C Server Timing); names of nodes are tokens.
func serverTiming(stats []wire.NodeStat) string {
	var out []string
	for _, s := range stats {
		out = append(out, fmt.Sprintf("%s;dur=%.3f", s.Name, float64(s.Busy)/1e6))
	}
	return strings.Join(out, ", ")
}
