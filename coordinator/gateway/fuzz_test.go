package gateway

import (
	"errors"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs"
)

// FuzzBody: no body makes the readers panic, and what they refuse they refuse as a fault.
func FuzzBody(f *testing.F) {
	for _, seed := range []string{
		"", "[]", `[1,"a",{"$bytes":"AA=="}]`, `{"args":[null]}`, `{"args":1}`, `{"inputs":{"x":1,"y":[]}}`, `{"inputs":{"x":1,"x":2}}`,
		`{"inputs":[]}`, `{"inputs":null}`, `{"inputs":{"x":{"$ref":""}}} `, "[1]]", "\xff", "{}", `{"args":[1],"args":[2]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, m := range []string{"", "application/json", typeBytes, "text/html"} {
			if _, err := arguments(m, slices.Clone(body)); err != nil && !errors.As(err, new(*fault.Error)) {
				t.Errorf("arguments: no fault: %v", err)
			}
			in, err := inputs(m, slices.Clone(body))
			if err != nil && !errors.As(err, new(*fault.Error)) {
				t.Errorf("inputs: no fault: %v", err)
			}
			if err == nil && len(in.names) != len(in.values) {
				t.Errorf("%d names, %d values", len(in.names), len(in.values))
			}
		}
	})
}

// FuzzOperation: no body makes the reader panic, and what it refuses it refuses as a fault.
func FuzzOperation(f *testing.F) {
	for _, seed := range []string{
		`{"op":"add","arg":3}`, `{"op":"field","field":"f","update":{"op":"insert","arg":{"$bytes":"AA=="}}}`, `{"op":"remove-field","field":""}`,
		`{"op":"max","arg":null}`, `{"op":"add","arg":1e400}`, "{}", "[]", `{"op":"insert","arg":{"$ref":1}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if _, err := operation(body); err != nil && !errors.As(err, new(*fault.Error)) {
			t.Errorf("no fault: %v", err)
		}
	})
}

// FuzzKey: a key that is escaped comes out as it went in, and no path gives an illegal key.
func FuzzKey(f *testing.F) {
	for _, seed := range []string{"a", "a/b", "..", "a/../b", "%2e%2e", "%", "\x00\xff", "//", "+ ?#", "a%zz"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		dots := s == "." || s == ".." // a path cannot say these; %2F is no separator
		if key, err := pathKey(pathContext("/" + url.PathEscape(s))); err != nil && s != "" && len(s) <= kvs.MaxKey && !dots {
			t.Errorf("%q: %v", s, err)
		} else if err == nil && string(key) != s {
			t.Errorf("%q came out as %q", s, key)
		}
		if key, err := pathKey(pathContext("/" + s)); err == nil && key.Check() != nil {
			t.Errorf("%q gives the key %q", s, key)
		}
	})
}

func pathContext(raw string) *gin.Context {
	c, _ := gin.CreateTestContext(httptest.NewRecorder())
	c.Params = gin.Params{{Key: "key", Value: raw}}
	return c
}

// FuzzHeaders: no header makes the readers panic.
func FuzzHeaders(f *testing.F) {
	for _, seed := range []string{"*", `"7"`, `W/"7"`, `"7", "8"`, "respond-async; x=1, wait=5", "text/*;q=0, application/json", ";;,,=", "Bearer x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, h string) {
		if strings.ContainsAny(h, "\r\n\x00") {
			return // net/http refuses it
		}
		gin.SetMode(gin.ReleaseMode)
		c, _ := gin.CreateTestContext(httptest.NewRecorder())
		c.Request = httptest.NewRequest("GET", "/", nil)
		for _, name := range []string{"Accept", "If-Match", "Content-Type"} {
			c.Request.Header.Set(name, h)
		}
		accepts(c, typeJSON, typeBytes)
		prefersAsync([]string{h})
		loopbackHost(h)
		if _, err := media(c); err != nil && !errors.As(err, new(*fault.Error)) {
			t.Errorf("no fault: %v", err)
		}
		if cond, err := conditionOf(c); err == nil && h != "" && cond == (condition{}) {
			t.Errorf("If-Match: %q is no condition", h)
		}
	})
}
