package gateway

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/squall-faas/squall/fault"
)

// guard refuses what no endpoint should see.
func (g *Gateway) guard(c *gin.Context) {
	h := c.Writer.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox") // values are the users': no browser runs them
	h.Set("Cache-Control", "no-store")
	if err := g.check(c.Request); err != nil {
		g.problem(c, err)
		c.Abort()
	}
}

func (g *Gateway) check(r *http.Request) error {
	if g.cfg.Loopback && !loopbackHost(r.Host) {
		return forbidden("this gateway answers to localhost, 127.0.0.1 and [::1] only: use one of them, or start it with a token")
	}
	if err := g.origins.Check(r); err != nil {
		return forbidden("web pages of other origins may not call this gateway: %w", err)
	}
	if r.URL.Path == "/livez" || r.URL.Path == "/readyz" {
		return nil
	}
	if !g.authorized(r.Header.Values("Authorization")) {
		return fault.New(fault.Unauthorized, "no valid token: send \"Authorization: Bearer <token>\"")
	}
	switch e := r.Header.Get("Content-Encoding"); strings.ToLower(e) {
	case "", "identity":
	default:
		return unsupportedMedia("Content-Encoding %q is not accepted: send the body as it is", e)
	}
	return nil
}

func forbidden(format string, args ...any) error {
	return refused{http.StatusForbidden, fault.New(fault.Unauthorized, format, args...)}
}

func (g *Gateway) authorized(headers []string) bool {
	if g.cfg.Token == "" {
		return true
	}
	if len(headers) != 1 {
		return false
	}
	scheme, token, _ := strings.Cut(headers[0], " ")
	// Hashes have one length, and comparing them tells nothing of the token's.
	got, want := sha256.Sum256([]byte(strings.TrimSpace(token))), sha256.Sum256([]byte(g.cfg.Token))
	return strings.EqualFold(scheme, "Bearer") && subtle.ConstantTimeCompare(got[:], want[:]) == 1
}

func loopbackHost(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && ip.IsLoopback()
}

// recover turns a panic, which is a defect of ours, into an answer.
func (g *Gateway) recover(c *gin.Context) {
	defer func() {
		switch p := recover(); p {
		case nil:
		case http.ErrAbortHandler:
			panic(p)
		default:
			g.log.Error("panic in a handler", "route", c.FullPath(), "err", p, "stack", string(debug.Stack()))
			if !c.Writer.Written() {
				g.problem(c, fault.New(fault.Internal, "the gateway has a defect: %s", fmt.Sprint(p)))
			}
			c.Abort()
		}
	}()
	c.Next()
}

// observe counts requests.
func (g *Gateway) observe(c *gin.Context) {
	start := time.Now()
	g.metrics.open.Inc()
	defer func() {
		g.metrics.open.Dec()
		g.metrics.count(c.Request.Method, c.FullPath(), c.Writer.Status(), time.Since(start))
	}()
	c.Next()
}
