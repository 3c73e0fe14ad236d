package gateway

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/executor/runtime"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/id"
	"github.com/squall-faas/squall/internal/wasmbin"
	"github.com/squall-faas/squall/internal/wire"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

func (g *Gateway) name(c *gin.Context, what string) (string, error) {
	name, err := pathName(c, "name")
	if err != nil {
		return "", err
	}
	return name, id.CheckName(what, name)
}

// listFunctions: GET /v1/functions.
func (g *Gateway) listFunctions(c *gin.Context) error {
	if _, err := query(c); err != nil {
		return err
	}
	a, err := g.admit.Admin(c.Request.Context(), wire.OpListFunctions, &wire.Admin{})
	if err != nil {
		return err
	}
	return g.sendJSON(c, http.StatusOK, map[string]any{"functions": append([]runtime.Spec{}, a.Functions...)})
}

// getFunction: GET /v1/functions/{name}.
func (g *Gateway) getFunction(c *gin.Context) error {
	if _, err := query(c); err != nil {
		return err
	}
	name, err := g.name(c, "function")
	if err != nil {
		return err
	}
	a, err := g.admit.Admin(c.Request.Context(), wire.OpListFunctions, &wire.Admin{})
	if err != nil {
		return err
	}
	for _, f := range a.Functions {
		if f.Name == name {
			c.Header("ETag", `"`+f.Version+`"`)
			return g.sendJSON(c, http.StatusOK, f)
		}
	}
	return fault.New(fault.UnknownFunction, "no function %s is registered: GET /v1/functions lists them", name)
}

// putFunction: PUT /v1/functions/{name}, a WebAssembly module.
func (g *Gateway) putFunction(c *gin.Context) error {
	q, err := query(c, "timeout", "memory", "output", "concurrency", "app")
	if err != nil {
		return err
	}
	spec := runtime.Spec{Kind: runtime.Wasm}
	if spec.Name, err = g.name(c, "function"); err != nil {
		return err
	}
	if spec.App = q.Get("app"); spec.App != "" {
		if err := id.CheckName("application", spec.App); err != nil {
			return err
		}
	}
	if spec.Limits.Wall, err = duration(q, "timeout"); err != nil {
		return err
	}
	if spec.Limits.Memory, err = number(q, "memory"); err != nil {
		return err
	}
	if spec.Limits.Output, err = number(q, "output"); err != nil {
		return err
	}
	slots, err := number(q, "concurrency")
	if err != nil {
		return err
	}
	spec.Limits.Slots = int(min(slots, 1<<30))
	spec.Limits = spec.Limits.WithDefaults()
	m, err := media(c)
	if err != nil {
		return err
	}
	if m != "application/wasm" && m != typeBytes {
		return unsupportedMedia("a function as %q: send a WebAssembly module as application/wasm", m)
	}
	code, release, err := g.body(c, insteadOfBody)
	if err != nil {
		return err
	}
	defer release()
	inFunction := func(err error) error {
		return fault.From(err).With(func(e *fault.Error) { e.Function = spec.Name })
	}
	module, err := wasmbin.Inspect(code)
	if err == nil {
		err = module.CheckABI()
	}
	if err != nil {
		return inFunction(err)
	}
	sum := sha256.Sum256(code)
	spec.Version = hex.EncodeToString(sum[:16])
	v, err := value.Of(code)
	if err != nil {
		return err
	}
	ctx := c.Request.Context()
	_, err = g.cfg.Backbone.System.CompareAndSet(ctx, kvs.Key(wire.CodeKey(spec.Version)), v, 0, kvs.PutOptions{})
	if err != nil && !fault.Is(err, fault.Conflict) { // conflict: the code is there
		return inFunction(err)
	}
	if _, err := g.admit.Admin(ctx, wire.OpPutFunction, &wire.Admin{Function: &spec}); err != nil {
		return inFunction(err)
	}
	c.Header("ETag", `"`+spec.Version+`"`)
	return g.sendJSON(c, http.StatusOK, spec)
}

// deleteFunction: DELETE /v1/functions/{name}.
func (g *Gateway) deleteFunction(c *gin.Context) error {
	return g.remove(c, "function", wire.OpRemoveFunction)
}

// deleteDAG: DELETE /v1/dags/{name}.
func (g *Gateway) deleteDAG(c *gin.Context) error { return g.remove(c, "DAG", wire.OpRemoveDAG) }

func (g *Gateway) remove(c *gin.Context, what, op string) error {
	if _, err := query(c); err != nil {
		return err
	}
	name, err := g.name(c, what)
	if err != nil {
		return err
	}
	if _, err := g.admit.Admin(c.Request.Context(), op, &wire.Admin{Name: name}); err != nil {
		return err
	}
	c.Status(http.StatusNoContent)
	return nil
}

// dagView is a DAG as lists and registrations show it.
type dagView struct {
	Name    string   `json:"name"`
	Version string   `json:"version"`
	Inputs  []string `json:"inputs"`
	Outputs []string `json:"outputs"`
	Nodes   int      `json:"nodes"`
}

// listDAGs: GET /v1/dags.
func (g *Gateway) listDAGs(c *gin.Context) error {
	if _, err := query(c); err != nil {
		return err
	}
	a, err := g.admit.Admin(c.Request.Context(), wire.OpListDAGs, &wire.Admin{})
	if err != nil {
		return err
	}
	out := []dagView{}
	for _, i := range a.Graphs {
		out = append(out, dagView{i.Name, i.Version, append([]string{}, i.Inputs...), append([]string{}, i.Outputs...), i.Nodes})
	}
	return g.sendJSON(c, http.StatusOK, map[string]any{"dags": out})
}

// getDAG: GET /v1/dags/{name}, in the file form.
func (g *Gateway) getDAG(c *gin.Context) error {
	if _, err := query(c); err != nil {
		return err
	}
	name, err := g.name(c, "DAG")
	if err != nil {
		return err
	}
	a, err := g.admit.Admin(c.Request.Context(), wire.OpGetDAG, &wire.Admin{Name: name})
	if err != nil {
		return err
	}
	graph, err := dag.Decode(a.Graph)
	if err != nil {
		return err
	}
	c.Header("ETag", `"`+a.Version+`"`)
	c.Header("Vary", "Accept")
	if accepts(c, typeJSON, typeYAML) == typeYAML {
		g.send(c, http.StatusOK, typeYAML, graph.YAML())
		return nil
	}
	g.send(c, http.StatusOK, typeJSON, graph.JSON())
	return nil
}

// putDAG: PUT /v1/dags/{name}, in the file form, YAML or JSON.
func (g *Gateway) putDAG(c *gin.Context) error {
	if _, err := query(c); err != nil {
		return err
	}
	name, err := g.name(c, "DAG")
	if err != nil {
		return err
	}
	m, err := media(c)
	if err != nil {
		return err
	}
	switch {
	case isJSON(m), isUnsaid(m), m == typeYAML, m == "application/x-yaml", m == "text/yaml", m == "text/x-yaml":
	default:
		return unsupportedMedia("a DAG as %q: send application/yaml or application/json", m)
	}
	body, release, err := g.body(c, insteadOfBody)
	if err != nil {
		return err
	}
	defer release()
	graph, err := dag.Parse(body)
	if err != nil {
		return err
	}
	if graph.Name != name {
		return fault.New(fault.InvalidArgument, "the DAG is named %s and the path says %s: make them agree", graph.Name, name)
	}
	a, err := g.admit.Admin(c.Request.Context(), wire.OpPutDAG, &wire.Admin{Graph: dag.Encode(graph)})
	if err != nil {
		return err
	}
	outs := make([]string, len(graph.Outputs))
	for i, o := range graph.Outputs {
		outs[i] = o.Name
	}
	c.Header("ETag", `"`+a.Version+`"`)
	return g.sendJSON(c, http.StatusOK, dagView{name, a.Version, append([]string{}, graph.Inputs...), outs, len(graph.Nodes)})
}
