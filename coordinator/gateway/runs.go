package gateway

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/id"
	"github.com/squall-faas/squall/internal/wire"
	"github.com/squall-faas/squall/value"
)

// runView is a run as answers show it.
type runView struct {
	Run     string                 `json:"run"`
	State   string                 `json:"state"`            // running, succeeded or failed
	Target  string                 `json:"target,omitempty"` // dag or function
	Name    string                 `json:"name,omitempty"`
	Durable bool                   `json:"durable,omitempty"`
	Started *time.Time             `json:"started,omitempty"`
	Ended   *time.Time             `json:"ended,omitempty"`
	Outputs map[string]value.Value `json:"outputs,omitempty"`
	Error   *problem               `json:"error,omitempty"`
	TookNs  int64                  `json:"took_ns,omitempty"`
	Nodes   []nodeView             `json:"nodes,omitempty"`
}

func viewOf(i wire.RunInfo) *runView {
	v := &runView{Run: i.Run.String(), State: i.State.String(), Name: i.Name, Durable: i.Durable}
	if i.Target != 0 {
		v.Target = strings.ToLower(i.Target.String())
	}
	v.Started, v.Ended = moment(i.Started), moment(i.Ended)
	if i.Err != nil {
		p := problemOf(i.Err)
		v.Error = &p
	}
	return v
}

func moment(ns int64) *time.Time {
	if ns == 0 {
		return nil
	}
	t := time.Unix(0, ns).UTC()
	return &t
}

// listRuns: GET /v1/runs.
func (g *Gateway) listRuns(c *gin.Context) error {
	q, err := query(c, "limit")
	if err != nil {
		return err
	}
	limit, err := number(q, "limit")
	if err != nil {
		return err
	}
	a, err := g.admit.Admin(c.Request.Context(), wire.OpRuns, &wire.Admin{Limit: int(min(limit, 1000))})
	if err != nil {
		return err
	}
	out := struct {
		Runs []*runView `json:"runs"`
	}{make([]*runView, len(a.Runs))}
	for i, r := range a.Runs {
		out.Runs[i] = viewOf(r)
	}
	return g.sendJSON(c, http.StatusOK, out)
}

// getRun: GET /v1/runs/{run}.
func (g *Gateway) getRun(c *gin.Context) error {
	q, err := query(c, "wait")
	if err != nil {
		return err
	}
	run, err := pathRun(c)
	if err != nil {
		return err
	}
	wait, err := g.wait(q, "wait", 0)
	if err != nil {
		return err
	}
	v, err := g.look(c.Request.Context(), run, func() { linger(c, wait) }, wait)
	if err != nil {
		return placed(err, run)
	}
	return g.sendJSON(c, http.StatusOK, v)
}

func pathRun(c *gin.Context) (id.Run, error) {
	s, err := pathName(c, "run")
	if err != nil {
		return id.Run{}, err
	}
	return id.ParseRun(s)
}

// look tells how a run is, after waiting for its end for up to wait.
func (g *Gateway) look(ctx context.Context, run id.Run, linger func(), wait time.Duration) (*runView, error) {
	info, err := g.await.Status(ctx, run)
	if err != nil {
		return nil, err
	}
	if info.State == wire.Running && wait > 0 {
		linger()
		waiting, cancel := context.WithTimeout(ctx, wait)
		_, _ = g.outcomeOf(waiting, run) // what came of it is asked below
		cancel()
		if info, err = g.await.Status(ctx, run); err != nil {
			return nil, err
		}
	}
	v := viewOf(info)
	if info.State != wire.Succeeded {
		return v, nil
	}
	r, err := g.outcomeOf(ctx, run)
	switch {
	case err == nil:
		v.Outputs, v.TookNs, v.Nodes = outputs(r), int64(r.Took), nodes(r)
	case fault.Is(err, fault.UnknownRun), fault.Is(err, fault.InvalidArgument):
		// A sync call's outputs went to its caller alone.
	default:
		return nil, err
	}
	return v, nil
}

// cancelRun: DELETE /v1/runs/{run}.
func (g *Gateway) cancelRun(c *gin.Context) error {
	if _, err := query(c); err != nil {
		return err
	}
	run, err := pathRun(c)
	if err != nil {
		return err
	}
	if err := g.await.Cancel(c.Request.Context(), run); err != nil {
		return placed(err, run)
	}
	return g.sendJSON(c, http.StatusAccepted, map[string]string{"run": run.String()})
}
