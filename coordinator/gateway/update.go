package gateway

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs/lattice"
	"github.com/squall-faas/squall/kvs/version"
	"github.com/squall-faas/squall/value"
)

// updates ends the path of a key's updates.
const updates = "/updates"

// updateKey: POST /v1/kv/{key}/updates, one operation of a lattice.
func (g *Gateway) updateKey(c *gin.Context) error {
	path, ok := strings.CutSuffix(c.Param("key"), updates)
	if !ok {
		return refused{http.StatusMethodNotAllowed, fault.New(fault.InvalidArgument, "a key takes no POST: PUT a value, or POST an operation to its /updates")}
	}
	q, err := query(c, "ttl")
	if err != nil {
		return err
	}
	key, err := keyOf(path)
	if err != nil {
		return err
	}
	var o version.WriteOptions
	if o.TTL, err = duration(q, "ttl"); err != nil {
		return err
	}
	if o.Level, _, err = consistency(c); err != nil {
		return err
	}
	switch name, given, err := idempotencyKey(c); {
	case err != nil:
		return err
	case given:
		o.ID = version.Operation(name)
	}
	m, err := media(c)
	if err != nil {
		return err
	}
	if !isJSON(m) && !isUnsaid(m) {
		return unsupportedMedia("an operation as %q: send application/json", m)
	}
	body, release, err := g.body(c, insteadOfBody)
	if err != nil {
		return err
	}
	defer release()
	op, err := operation(body)
	if err != nil {
		return err
	}
	v, err := g.writer.Update(c.Request.Context(), key, op, o)
	if err != nil {
		return err
	}
	c.Header("ETag", etag(v.Revision))
	return g.sendJSON(c, http.StatusOK, map[string]value.Value{"value": v.Value})
}

// opView is an operation in JSON: {"op": "add", "arg": 3}, {"op": "field", "field": "hits", "update": {"op": "add", "arg": 1}},
// {"op": "remove-field", "field": "hits"}.
type opView struct {
	Op     string          `json:"op"`
	Arg    json.RawMessage `json:"arg"`
	Field  *string         `json:"field"`
	Update *opView         `json:"update"`
}

// maxOps bounds how deep operations nest, before they are looked at.
const maxOps = 64

func operation(body []byte) (lattice.Op, error) {
	var x opView
	if err := strictJSON(body, &x); err != nil {
		return lattice.Op{}, err
	}
	var words []string // as the command line has them
	for at, depth := &x, 0; at != nil; at, depth = at.Update, depth+1 {
		if depth == maxOps {
			return lattice.Op{}, fault.New(fault.InvalidArgument, "the operation goes more than %d fields deep", maxOps)
		}
		if at.Op == "" {
			return lattice.Op{}, fault.New(fault.InvalidArgument, `no operation: send {"op": "add", "arg": 3}; there are %s`, lattice.OpUsage)
		}
		words = append(words, at.Op)
		if at.Field != nil {
			words = append(words, *at.Field)
		}
		if at.Arg != nil {
			if _, err := value.FromJSON(at.Arg); err != nil { // else ParseOp would take it for text
				return lattice.Op{}, err
			}
			words = append(words, string(at.Arg))
		}
	}
	return lattice.ParseOp(words...)
}
