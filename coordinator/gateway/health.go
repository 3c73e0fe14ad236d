package gateway

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/wire"
)

const (
	checkTimeout = 2 * time.Second
	checkedFor   = time.Second // an answer to /readyz stands for as long, so that nobody can make it costly
)

// readiness is the answer of /readyz.
type readiness struct {
	Ready  bool              `json:"ready"`
	Checks map[string]string `json:"checks"` // "ok", or what is wrong
	at     time.Time
}

type health struct {
	mu   sync.Mutex // guards last, and lets one check go on at a time
	last readiness
}

// live: GET /livez: the process answers.
func (g *Gateway) live(c *gin.Context) error {
	return g.sendJSON(c, http.StatusOK, map[string]bool{"live": true})
}

// ready: GET /readyz: a call would be taken.
func (g *Gateway) ready(c *gin.Context) error {
	g.health.mu.Lock()
	defer g.health.mu.Unlock()
	if time.Since(g.health.last.at) > checkedFor {
		g.health.last = g.checks(context.WithoutCancel(c.Request.Context()))
	}
	status := http.StatusOK
	if !g.health.last.Ready {
		status = http.StatusServiceUnavailable
	}
	return g.sendJSON(c, status, g.health.last)
}

func (g *Gateway) checks(ctx context.Context) readiness {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	store := make(chan error, 1)
	go func() {
		_, err := g.cfg.Backbone.System.Get(ctx, "readyz")
		if fault.Is(err, fault.NotFound) {
			err = nil // it answers
		}
		store <- err
	}()
	a, err := g.admit.Admin(ctx, wire.OpMembers, &wire.Admin{})
	r := readiness{Ready: true, Checks: map[string]string{}, at: time.Now()}
	for name, err := range map[string]error{"store": <-store, "coordinator": err} {
		r.Checks[name] = "ok"
		if err != nil {
			r.Ready, r.Checks[name] = false, fault.From(err).Error()
		}
	}
	if err == nil {
		up := 0
		for _, m := range a.Members {
			if m.Heartbeat.Condition == wire.Up && !m.Suspect {
				up++
			}
		}
		if up == 0 {
			r.Ready = false
		}
		r.Checks["executors"] = fmt.Sprintf("%d of %d take work", up, len(a.Members))
	}
	return r
}
