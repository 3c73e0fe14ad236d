package gateway

import (
	"net/http"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/squall-faas/squall/fault"
)

// route is one endpoint. The document behind /openapi.json has the same, which a test holds against this table.
type route struct {
	method, path string
	handle       func(*gin.Context) error
	tail         string // of the path, where gin cannot know it: nothing follows a wildcard there
}

func (g *Gateway) routes() []route {
	metrics := promhttp.HandlerFor(g.cfg.Gatherer, promhttp.HandlerOpts{})
	return []route{
		{"POST", "/v1/functions/:name/calls", g.callFunction, ""},
		{"GET", "/v1/functions", g.listFunctions, ""},
		{"GET", "/v1/functions/:name", g.getFunction, ""},
		{"PUT", "/v1/functions/:name", g.putFunction, ""},
		{"DELETE", "/v1/functions/:name", g.deleteFunction, ""},

		{"POST", "/v1/dags/:name/runs", g.runDAG, ""},
		{"GET", "/v1/dags", g.listDAGs, ""},
		{"GET", "/v1/dags/:name", g.getDAG, ""},
		{"PUT", "/v1/dags/:name", g.putDAG, ""},
		{"DELETE", "/v1/dags/:name", g.deleteDAG, ""},

		{"GET", "/v1/runs", g.listRuns, ""},
		{"GET", "/v1/runs/:run", g.getRun, ""},
		{"DELETE", "/v1/runs/:run", g.cancelRun, ""},

		{"GET", "/v1/kv", g.listKeys, ""},
		{"GET", "/v1/kv/*key", g.getKey, ""},
		{"HEAD", "/v1/kv/*key", g.getKey, ""},
		{"PUT", "/v1/kv/*key", g.putKey, ""},
		{"DELETE", "/v1/kv/*key", g.deleteKey, ""},
		{"POST", "/v1/kv/*key", g.updateKey, updates},

		{"GET", "/livez", g.live, ""},
		{"GET", "/readyz", g.ready, ""},
		{"GET", "/metrics", func(c *gin.Context) error { metrics.ServeHTTP(c.Writer, c.Request); return nil }, ""},
		{"GET", "/openapi.json", g.openAPI, ""},
	}
}

func (g *Gateway) engine() *gin.Engine {
	e := gin.New()
	e.UseEscapedPath = true // a key may hold %2F, %00 and whatever else
	e.UnescapePathValues = false
	e.RedirectTrailingSlash = false
	e.HandleMethodNotAllowed = true
	e.Use(g.observe, g.recover, g.guard)
	for _, r := range g.routes() {
		e.Handle(r.method, r.path, g.handlerOf(r.handle))
	}
	e.NoRoute(g.handlerOf(func(*gin.Context) error {
		return fault.New(fault.NotFound, "no such endpoint: /openapi.json lists them")
	}))
	e.NoMethod(g.handlerOf(func(c *gin.Context) error {
		return refused{http.StatusMethodNotAllowed, fault.New(fault.InvalidArgument, "no method %s here: use %s", c.Request.Method, c.Writer.Header().Get("Allow"))}
	}))
	return e
}

func (g *Gateway) handlerOf(handle func(*gin.Context) error) gin.HandlerFunc {
	return func(c *gin.Context) {
		if err := handle(c); err != nil {
			g.problem(c, err)
		}
	}
}

// Routes lists the endpoints, each as "METHOD /path/:name".
func (g *Gateway) Routes() []string {
	var out []string
	for _, r := range g.routes() {
		out = append(out, r.method+" "+r.path+r.tail)
	}
	return out
}
