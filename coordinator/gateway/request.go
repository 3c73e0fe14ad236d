package gateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/caller"
	"github.com/squall-faas/squall/internal/sched"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

const (
	smallBody = 1 << 20  // bytes that any request may hold
	maxKeyLen = 256      // bytes of an Idempotency-Key
	drainMost = 32 << 20 // bytes of a refused body that are still read
)

// drain reads on for a while what a refused client is still sending: a connection that is closed on it is reset, and
// then the client never sees why. The server's read timeout bounds it too.
func drain(c *gin.Context) { _, _ = io.CopyN(io.Discard, c.Request.Body, drainMost) }

// What to do about a body that is too large.
const (
	insteadOfBody = "put large values under keys and pass references"
	insteadOfPut  = "put a larger value, up to 1 GiB, with the SDK or `squall kv put`"
)

// body reads a request's body. release gives back the memory's place once the body is of no more use. instead says what to
// do about one that is too large.
func (g *Gateway) body(c *gin.Context, instead string) (b []byte, release func(), err error) {
	tooLarge := fault.New(fault.TooLarge, "the body has more than %d bytes: %s", g.cfg.MaxBody, instead)
	if c.Request.ContentLength > g.cfg.MaxBody {
		drain(c)
		return nil, nil, tooLarge
	}
	r := http.MaxBytesReader(c.Writer, c.Request.Body, g.cfg.MaxBody)
	small, err := io.ReadAll(io.LimitReader(r, smallBody))
	if err == nil && len(small) < smallBody {
		return small, func() {}, nil
	}
	if err == nil {
		select {
		case g.large <- struct{}{}:
			release = func() { <-g.large }
		default:
			e := fault.New(fault.Overloaded, "%d requests with large bodies are being served, the most at once: try again", g.cfg.MaxLarge)
			e.RetryAfter = time.Second
			drain(c)
			return nil, nil, e
		}
		rest := bytes.NewBuffer(small)
		if _, err = rest.ReadFrom(r); err == nil {
			return rest.Bytes(), release, nil
		}
		release()
	}
	if errors.As(err, new(*http.MaxBytesError)) {
		drain(c)
		return nil, nil, tooLarge
	}
	return nil, nil, fault.New(fault.InvalidArgument, "the body broke off: %w", err)
}

// media is a request's media type; "" where it names none.
func media(c *gin.Context) (string, error) {
	h := c.GetHeader("Content-Type")
	if h == "" {
		return "", nil
	}
	m, params, err := mime.ParseMediaType(h)
	if err != nil {
		return "", unsupportedMedia("Content-Type %q is malformed: %w", h, err)
	}
	if cs := params["charset"]; cs != "" && !strings.EqualFold(cs, "utf-8") {
		return "", unsupportedMedia("charset %q is not accepted: send UTF-8", cs)
	}
	return m, nil
}

func isJSON(m string) bool { return m == "application/json" || strings.HasSuffix(m, "+json") }

// isUnsaid reports whether a media type says nothing about the body: there is none, or it is what curl -d sets.
func isUnsaid(m string) bool { return m == "" || m == "application/x-www-form-urlencoded" }

// arguments reads a function's: [1, "a"], {"args": [1, "a"]}, nothing, or one argument of bytes.
func arguments(m string, body []byte) ([]value.Value, error) {
	switch {
	case m == "application/octet-stream":
		v, err := value.Of(body)
		return []value.Value{v}, err
	case !isJSON(m) && !isUnsaid(m):
		return nil, unsupportedMedia("arguments as %q: send application/json, or application/octet-stream for one argument of bytes", m)
	}
	body = bytes.TrimSpace(body)
	if len(body) == 0 {
		return nil, nil
	}
	if body[0] == '{' {
		var x struct{ Args json.RawMessage }
		if err := strictJSON(body, &x); err != nil {
			return nil, err
		}
		body = x.Args
		if len(body) == 0 {
			return nil, fault.New(fault.InvalidArgument, `the body is an object without "args": send [1, "a"] or {"args": [1, "a"]}`)
		}
	}
	if body[0] != '[' {
		return nil, fault.New(fault.InvalidArgument, `the arguments are no list: send [1, "a"] or {"args": [1, "a"]}`)
	}
	list, err := value.FromJSON(body)
	if err != nil {
		return nil, err
	}
	return list.Elements()
}

// inputs reads a DAG's: {"inputs": {"x": 1}}, or nothing.
func inputs(m string, body []byte) (*inputSet, error) {
	if !isJSON(m) && !isUnsaid(m) {
		return nil, unsupportedMedia("inputs as %q: send application/json", m)
	}
	var x struct{ Inputs inputSet }
	if len(bytes.TrimSpace(body)) == 0 {
		return &x.Inputs, nil
	}
	return &x.Inputs, strictJSON(body, &x)
}

// inputSet is an object of values, none twice.
type inputSet struct {
	names  []string
	values []value.Value
}

// UnmarshalJSON reads the object; b is valid JSON.
func (s *inputSet) UnmarshalJSON(b []byte) error {
	d := json.NewDecoder(bytes.NewReader(b))
	if t, _ := d.Token(); t != json.Delim('{') {
		return fault.New(fault.InvalidArgument, `the inputs are no object: send {"inputs": {"x": 1}}`)
	}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return err
		}
		name, _ := t.(string)
		if slices.Contains(s.names, name) {
			return fault.New(fault.InvalidArgument, "input %q is given twice", name)
		}
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return err
		}
		v, err := value.FromJSON(raw)
		if err != nil {
			return fault.New(fault.InvalidArgument, "input %s: %w", name, err)
		}
		s.names, s.values = append(s.names, name), append(s.values, v)
	}
	return nil
}

// strictJSON decodes one document into x and refuses what x does not have.
func strictJSON(b []byte, x any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	err := d.Decode(x)
	if err == nil {
		if _, more := d.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("something follows the document")
		}
	}
	if err == nil || errors.As(err, new(*fault.Error)) {
		return err
	}
	return fault.New(fault.InvalidArgument, "malformed JSON: %w", err)
}

// query reads the URL's parameters; one that the endpoint does not have is an error, because a misspelt "durable" that
// is ignored is a run that is lost.
func query(c *gin.Context, known ...string) (url.Values, error) {
	q, err := url.ParseQuery(c.Request.URL.RawQuery)
	if err != nil {
		return nil, fault.New(fault.InvalidArgument, "malformed query: %w", err)
	}
	for name, vs := range q {
		if !slices.Contains(known, name) {
			return nil, fault.New(fault.InvalidArgument, "no parameter %q here: there are %q", name, known)
		}
		if len(vs) > 1 {
			return nil, fault.New(fault.InvalidArgument, "parameter %q is given twice", name)
		}
	}
	return q, nil
}

// pathName is the name in a path, decoded; whether it is legal is up to who uses it.
func pathName(c *gin.Context, param string) (string, error) {
	s, err := url.PathUnescape(c.Param(param))
	if err != nil {
		return "", fault.New(fault.InvalidName, "malformed path: %w", err)
	}
	return s, nil
}

func duration(q url.Values, name string) (time.Duration, error) {
	s := q.Get(name)
	if s == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 {
		return 0, fault.New(fault.InvalidArgument, "%s=%q: give a duration such as 500ms, 2s or 1h", name, s)
	}
	return d, nil
}

func number(q url.Values, name string) (int64, error) {
	s := q.Get(name)
	if s == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return 0, fault.New(fault.InvalidArgument, "%s=%q: give a whole number that is not negative", name, s)
	}
	return n, nil
}

// truth reads a parameter or header that is true or false; an empty parameter, as in ?trace, is true.
func truth(name, s string) (bool, error) {
	if s == "" {
		return true, nil
	}
	b, err := strconv.ParseBool(s)
	if err != nil {
		return false, fault.New(fault.InvalidArgument, "%s=%q: give true or false", name, s)
	}
	return b, nil
}

// consistency reads the headers that say how state is read and written.
func consistency(c *gin.Context) (level kvs.Level, ack kvs.Ack, err error) {
	for _, name := range []string{"Squall-Consistency", "Squall-Ack"} {
		if len(c.Request.Header.Values(name)) > 1 {
			return 0, 0, fault.New(fault.InvalidArgument, "header %s is given twice", name)
		}
	}
	if level, err = kvs.ParseLevel(c.GetHeader("Squall-Consistency")); err != nil {
		return 0, 0, err
	}
	ack, err = kvs.ParseAck(c.GetHeader("Squall-Ack"))
	return level, ack, err
}

// wait is how long a request may take, and the default where it does not say.
func (g *Gateway) wait(q url.Values, name string, otherwise time.Duration) (time.Duration, error) {
	d, err := duration(q, name)
	if err != nil || d == 0 {
		return min(otherwise, g.cfg.MaxTimeout), err
	}
	if d > g.cfg.MaxTimeout {
		return 0, fault.New(fault.InvalidArgument, "%s=%v: at most %v is allowed; start it with \"Prefer: respond-async\"", name, d, g.cfg.MaxTimeout)
	}
	return d, nil
}

const defaultWait = caller.DefaultTimeout

// priority reads a call's, 0 where it gives none.
func priority(c *gin.Context) (int, error) {
	const name = "Squall-Priority"
	given := c.Request.Header.Values(name)
	switch {
	case len(given) == 0:
		return 0, nil
	case len(given) > 1:
		return 0, fault.New(fault.InvalidArgument, "header %s is given twice", name)
	}
	p, err := strconv.Atoi(given[0])
	if err != nil {
		return 0, fault.New(fault.InvalidArgument, "header %s is %q: give a number from %d to %d", name, given[0], sched.Lowest, sched.Highest)
	}
	return p, sched.CheckPriority(p)
}
