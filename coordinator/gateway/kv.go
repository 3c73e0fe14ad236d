package gateway

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/gin-gonic/gin"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/kvs/version"
	"github.com/squall-faas/squall/value"
)

const defaultPage = 1000 // keys

// pathKey is the key in a path: everything after /v1/kv/, percent-decoded. A segment "." or ".." is refused, because
// clients and proxies take it for a way up; a slash that does not separate segments, %2F, keeps it from being one.
func pathKey(c *gin.Context) (kvs.Key, error) { return keyOf(c.Param("key")) }

func keyOf(path string) (kvs.Key, error) {
	raw := strings.TrimPrefix(path, "/")
	for segment := range strings.SplitSeq(raw, "/") {
		switch s, _ := url.PathUnescape(segment); s {
		case ".", "..":
			return "", fault.New(fault.InvalidKey, "the path has the segment %q: write the slash beside it as %%2F, if it belongs to the key", s)
		}
	}
	s, err := url.PathUnescape(raw)
	if err != nil {
		return "", fault.New(fault.InvalidKey, "malformed key: %w", err)
	}
	key := kvs.Key(s)
	return key, key.Check()
}

func etag(r kvs.Revision) string { return `"` + strconv.FormatUint(uint64(r), 10) + `"` }

// condition is what a request wants the key's revision to be.
type condition struct {
	exact  kvs.Revision // If-Match: "7"
	any    bool         // If-Match: *
	absent bool         // If-None-Match: *
	never  bool         // If-Match of what no revision is: a weak or foreign tag
}

func conditionOf(c *gin.Context) (condition, error) {
	var cond condition
	match, none := c.GetHeader("If-Match"), c.GetHeader("If-None-Match")
	switch {
	case match != "" && none != "":
		return cond, fault.New(fault.InvalidArgument, "both If-Match and If-None-Match: give one")
	case none == "*":
		cond.absent = true
	case none != "":
		return cond, fault.New(fault.InvalidArgument, "If-None-Match of a write takes only *: the key must not exist")
	case match == "*":
		cond.any = true
	case strings.Contains(match, ","):
		return cond, fault.New(fault.InvalidArgument, "If-Match takes one revision, as a GET gave it in ETag")
	case match != "":
		r, ok := revision(match)
		cond.exact, cond.never = r, !ok
	}
	return cond, nil
}

func revision(tag string) (kvs.Revision, bool) {
	s, quoted := strings.CutPrefix(strings.TrimSpace(tag), `"`)
	s, end := strings.CutSuffix(s, `"`)
	n, err := strconv.ParseUint(s, 10, 64)
	return kvs.Revision(n), quoted && end && err == nil && n > 0
}

// meet does write with the revision that the condition asks for; 0 asks for none.
func (g *Gateway) meet(ctx context.Context, key kvs.Key, cond condition, write func(expect kvs.Revision) error) error {
	if cond.never {
		return fault.New(fault.Conflict, "If-Match names no revision: take it from the ETag of a GET")
	}
	if !cond.any {
		return write(cond.exact)
	}
	for {
		e, err := g.cfg.Backbone.User.Get(ctx, key)
		if fault.Is(err, fault.NotFound) {
			return fault.New(fault.Conflict, "If-Match: * and the key does not exist")
		}
		if err != nil {
			return err
		}
		if err := write(e.Revision); !fault.Is(err, fault.Conflict) {
			return err // a conflict: somebody wrote in between, and the key may still exist; ctx ends the chase
		}
	}
}

// getKey: GET and HEAD /v1/kv/{key}.
func (g *Gateway) getKey(c *gin.Context) error {
	q, err := query(c, "siblings")
	if err != nil {
		return err
	}
	key, err := pathKey(c)
	if err != nil {
		return err
	}
	level, _, err := consistency(c)
	if err != nil {
		return err
	}
	all := false
	if q.Has("siblings") {
		if all, err = truth("siblings", q.Get("siblings")); err != nil {
			return err
		}
	}
	v, err := g.writer.Get(c.Request.Context(), key, level)
	if err != nil {
		return err
	}
	c.Header("ETag", etag(v.Revision))
	if !v.Written.IsZero() {
		c.Header("Last-Modified", v.Written.UTC().Format(http.TimeFormat))
	}
	for tag := range strings.SplitSeq(c.GetHeader("If-None-Match"), ",") {
		r, ok := revision(strings.TrimPrefix(strings.TrimSpace(tag), "W/"))
		if ok && r == v.Revision || strings.TrimSpace(tag) == "*" {
			c.Header("Vary", "Accept")
			c.Status(http.StatusNotModified)
			return nil
		}
	}
	if all {
		return g.sendValue(c, value.List(v.Siblings()), false)
	}
	return g.sendValue(c, v.Value, true)
}

// putKey: PUT /v1/kv/{key}.
func (g *Gateway) putKey(c *gin.Context) error {
	q, err := query(c, "ttl")
	if err != nil {
		return err
	}
	key, err := pathKey(c)
	if err != nil {
		return err
	}
	var o version.WriteOptions
	if o.TTL, err = duration(q, "ttl"); err != nil {
		return err
	}
	if o.Level, _, err = consistency(c); err != nil { // what is written here is stored before it is answered, whatever was asked
		return err
	}
	cond, err := conditionOf(c)
	if err != nil {
		return err
	}
	m, err := media(c)
	if err != nil {
		return err
	}
	body, release, err := g.body(c, insteadOfPut)
	if err != nil {
		return err
	}
	defer release()
	v, err := stored(m, body)
	if err != nil {
		return err
	}
	var got *version.Version
	o.Create = cond.absent
	err = g.meet(c.Request.Context(), key, cond, func(expect kvs.Revision) (err error) {
		o.Revision = expect
		got, err = g.writer.Put(c.Request.Context(), key, v, o)
		return err
	})
	if err != nil {
		return err
	}
	c.Header("ETag", etag(got.Revision))
	c.Status(http.StatusNoContent)
	return nil
}

// stored is the value of a body: JSON and text say so, everything else is bytes.
func stored(m string, body []byte) (value.Value, error) {
	switch {
	case isJSON(m):
		return value.FromJSON(body)
	case m == typeText:
		if !utf8.Valid(body) {
			return value.Value{}, fault.New(fault.InvalidArgument, "the text is not UTF-8: send it as application/octet-stream")
		}
		return value.Of(string(body))
	}
	return value.Of(body)
}

// deleteKey: DELETE /v1/kv/{key}.
func (g *Gateway) deleteKey(c *gin.Context) error {
	if _, err := query(c); err != nil {
		return err
	}
	key, err := pathKey(c)
	if err != nil {
		return err
	}
	cond, err := conditionOf(c)
	if err != nil {
		return err
	}
	if cond.absent {
		return fault.New(fault.InvalidArgument, "If-None-Match: * makes no sense for a delete")
	}
	level, _, err := consistency(c)
	if err != nil {
		return err
	}
	err = g.meet(c.Request.Context(), key, cond, func(expect kvs.Revision) error {
		_, err := g.writer.Delete(c.Request.Context(), key, version.WriteOptions{Level: level, Revision: expect})
		return err
	})
	if err != nil {
		return err
	}
	c.Status(http.StatusNoContent)
	return nil
}

// keyView is a key as a list shows it: a string, or {"$bytes": base64} where it is not UTF-8.
type keyView kvs.Key

// MarshalJSON gives that form.
func (k keyView) MarshalJSON() ([]byte, error) {
	if utf8.ValidString(string(k)) {
		return json.Marshal(string(k))
	}
	return json.Marshal(map[string]string{"$bytes": base64.StdEncoding.EncodeToString([]byte(k))})
}

// listKeys: GET /v1/kv.
func (g *Gateway) listKeys(c *gin.Context) error {
	q, err := query(c, "prefix", "cursor", "limit")
	if err != nil {
		return err
	}
	limit := int64(defaultPage)
	if q.Has("limit") {
		if limit, err = number(q, "limit"); err != nil {
			return err
		}
	}
	page, err := g.cfg.Backbone.User.List(c.Request.Context(), kvs.Key(q.Get("prefix")), q.Get("cursor"), int(min(limit, kvs.MaxPage+1)))
	if err != nil {
		return err
	}
	out := struct {
		Keys []keyView `json:"keys"`
		Next string    `json:"next,omitempty"`
	}{make([]keyView, len(page.Keys)), page.Next}
	for i, k := range page.Keys {
		out.Keys[i] = keyView(k)
	}
	return g.sendJSON(c, http.StatusOK, out)
}

// isText reports whether a value's payload is fit for text/plain.
func isText(v value.Value) bool {
	_, b, err := v.Payload()
	return err == nil && utf8.Valid(b)
}
