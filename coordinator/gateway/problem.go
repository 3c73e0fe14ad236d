package gateway

import (
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/squall-faas/squall/fault"
)

// problem is the application/problem+json document (RFC 9457) of a fault.
type problem struct {
	Type       string     `json:"type"` // urn:squall:fault:<code>
	Title      string     `json:"title"`
	Status     int        `json:"status"`
	Detail     string     `json:"detail"`
	Code       fault.Code `json:"code"`
	Retryable  bool       `json:"retryable"`
	RetryAfter float64    `json:"retry_after,omitempty"` // seconds
	Run        string     `json:"run,omitempty"`
	Node       string     `json:"node,omitempty"`
	Function   string     `json:"function,omitempty"`
	Executor   string     `json:"executor,omitempty"`
	Item       int        `json:"item,omitempty"`
	Attempt    int        `json:"attempt,omitempty"`
	Trace      string     `json:"trace,omitempty"` // a stack, or the last log lines
}

func problemOf(e *fault.Error) problem {
	return problem{
		Type: "urn:squall:fault:" + string(e.Code), Title: strings.ReplaceAll(string(e.Code), "_", " "), Status: e.Code.Status(),
		Detail: e.Message, Code: e.Code, Retryable: e.Retryable(), RetryAfter: e.RetryAfter.Seconds(),
		Run: e.Run, Node: e.Node, Function: e.Function, Executor: e.Executor, Item: e.Item, Attempt: e.Attempt, Trace: e.Detail,
	}
}

// refused is a fault of the HTTP itself, for which HTTP has a status of its own.
type refused struct {
	status int
	err    *fault.Error
}

func (r refused) Error() string { return r.err.Error() }
func (r refused) Unwrap() error { return r.err }

func unsupportedMedia(format string, args ...any) error {
	return refused{http.StatusUnsupportedMediaType, fault.New(fault.Unsupported, format, args...)}
}

// problem answers with an error. Nothing may have been written before.
func (g *Gateway) problem(c *gin.Context, err error) {
	p := problemOf(fault.From(err))
	var r refused
	if errors.As(err, &r) {
		p.Status = r.status
	}
	if p.Code == fault.Internal {
		g.log.Error("request failed", "method", c.Request.Method, "route", c.FullPath(), "run", p.Run, "err", err)
	}
	if p.RetryAfter > 0 {
		c.Header("Retry-After", strconv.Itoa(int(math.Ceil(p.RetryAfter))))
	}
	if p.Status == http.StatusUnauthorized {
		c.Header("WWW-Authenticate", `Bearer realm="squall"`)
	}
	c.Writer.Header().Del("ETag")
	b, _ := json.Marshal(p) // strings and numbers only
	g.send(c, p.Status, "application/problem+json", append(b, '\n'))
}

// send writes a whole answer, for which the client has writeTimeout from now.
func (g *Gateway) send(c *gin.Context, status int, contentType string, body []byte) {
	_ = http.NewResponseController(c.Writer).SetWriteDeadline(time.Now().Add(writeTimeout)) // unsupported in tests
	c.Data(status, contentType, body)
}
