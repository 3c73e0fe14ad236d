package gateway_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/squall-faas/squall/coordinator/gateway"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs"
)

func TestToken(t *testing.T) {
	h := open(t, func(c *gateway.Config) { c.Token = "sesame" })
	for _, path := range []string{"/v1/functions", "/v1/kv/a", "/metrics", "/openapi.json", "/nothing", "/v1/runs"} {
		for _, header := range []string{"", "sesame", "Bearer", "Bearer  ", "Bearer sesam", "Basic sesame"} {
			a := h.do("GET", path, "", "Authorization", header)
			h.problem(a, 401, "unauthorized")
			if a.header.Get("WWW-Authenticate") == "" {
				t.Fatal("401 without a challenge")
			}
		}
	}
	for _, header := range []string{"Bearer sesame", "bearer sesame"} {
		if a := h.do("GET", "/v1/functions", "", "Authorization", header); a.status != 200 {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	if a := h.do("GET", "/livez", ""); a.status != 200 {
		t.Fatalf("%d %s", a.status, a.body)
	}
}

func TestLoopback(t *testing.T) {
	h := open(t, func(c *gateway.Config) { c.Loopback = true })
	for _, host := range []string{"evil.example", "evil.example:80", "127.0.0.1.evil.example", "10.0.0.1"} {
		h.problem(h.do("GET", "/v1/functions", "", "Host", host), 403, "unauthorized")
	}
	for _, host := range []string{"localhost", "localhost:8080", "127.0.0.1:1", "[::1]:8080"} {
		if a := h.do("GET", "/v1/functions", "", "Host", host); a.status != 200 {
			t.Fatalf("%s: %d %s", host, a.status, a.body)
		}
	}
}

func TestHealth(t *testing.T) {
	h := open(t)
	h.want(h.do("GET", "/livez", ""), 200, `{"live":true}`)
	h.want(h.do("GET", "/readyz", ""), 200, `{"ready":true,"checks":{"coordinator":"ok","executors":"1 of 1 take work","store":"ok"}}`)
	if a := h.do("GET", "/metrics", ""); !strings.Contains(a.body, `squall_gateway_requests_total{method="GET",route="/readyz",status="200"} 1`) {
		t.Fatal(a.body)
	}
}

func TestNotReady(t *testing.T) {
	h := open(t)
	h.check(h.cluster.StopCoordinator())
	a := h.do("GET", "/readyz", "")
	x := a.json(t)
	if checks := x["checks"].(map[string]any); a.status != 503 || x["ready"] != false || checks["store"] != "ok" || !strings.Contains(checks["coordinator"].(string), "[") {
		t.Fatalf("%d %s", a.status, a.body)
	}
	h.problem(h.do("POST", "/v1/functions/increment/calls?timeout=5s", "[1]"), 503, "unreachable")
}

func TestOpenAPI(t *testing.T) {
	h := open(t)
	var doc struct {
		Paths      map[string]map[string]any
		Components map[string]map[string]any
	}
	body := h.do("GET", "/openapi.json", "").body
	h.check(json.Unmarshal([]byte(body), &doc))
	served := map[string]bool{}
	for _, r := range h.gateway.Routes() {
		method, path, _ := strings.Cut(r, " ")
		served[strings.ToLower(method)+" "+regexp.MustCompile(`[:*]([a-z]+)`).ReplaceAllString(path, "{$1}")] = true
	}
	for path, methods := range doc.Paths {
		for method := range methods {
			if !served[method+" "+path] {
				t.Errorf("documented and not served: %s %s", method, path)
			}
			delete(served, method+" "+path)
		}
	}
	for r := range served {
		t.Errorf("served and not documented: %s", r)
	}
	for _, m := range regexp.MustCompile(`"#/components/(\w+)/([\w-]+)"`).FindAllStringSubmatch(body, -1) {
		if doc.Components[m[1]][m[2]] == nil {
			t.Errorf("reference to nothing: %s", m[0])
		}
	}
	var levels []string
	for _, l := range kvs.Levels() {
		levels = append(levels, l.String())
	}
	for name, want := range map[string][]string{"SquallConsistency": levels, "SquallAck": {"cached", "stored", "durable"}} {
		schema := doc.Components["parameters"][name].(map[string]any)["schema"].(map[string]any)
		if got := fmt.Sprint(schema["enum"]); got != fmt.Sprint(want) {
			t.Errorf("%s is documented as %s, and is %s", name, got, want)
		}
	}
	problem := doc.Components["schemas"]["Problem"].(map[string]any)["properties"].(map[string]any)
	for _, code := range problem["code"].(map[string]any)["enum"].([]any) {
		if !fault.Code(code.(string)).Known() {
			t.Errorf("documented and unknown: code %s", code)
		}
	}
}

func TestServe(t *testing.T) {
	h := open(t, func(c *gateway.Config) { c.MaxConnections = 2 })
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	h.check(err)
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- h.gateway.Serve(ctx, ln) }()
	h.url = "http://" + ln.Addr().String()
	h.want(h.do("POST", "/v1/functions/increment/calls?timeout=5s", "[1]"), 200, "2")

	// Raw bytes that are no proper request are answered, and the server goes on.
	for _, raw := range []string{
		"GET / HTTP/1.1\r\n\r\n",
		"GET /v1/kv/%zz HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /v1/functions/../kv/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
		"GET /v1/kv/a\x00b HTTP/1.1\r\nHost: x\r\n\r\n",
		"POST /v1/functions/increment/calls HTTP/1.1\r\nHost: x\r\nIdempotency-Key: a\rb\r\nContent-Length: 3\r\n\r\n[1]",
		"POST /v1/functions/increment/calls HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n[1]",
		"GET /v1/functions HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 64<<10) + "\r\n\r\n",
	} {
		conn, err := net.Dial("tcp", ln.Addr().String())
		h.check(err)
		_, err = io.WriteString(conn, raw)
		h.check(err)
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatalf("%.40q: %v", raw, err)
		}
		if res.StatusCode < 400 || res.StatusCode >= 500 {
			t.Errorf("%.40q: %s", raw, res.Status)
		}
		h.check(res.Body.Close())
		h.check(conn.Close())
	}
	h.want(h.do("POST", "/v1/functions/increment/calls", "[1]"), 200, "2")
	stop()
	h.check(<-served)
}
