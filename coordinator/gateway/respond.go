package gateway

import (
	"bytes"
	"encoding/json"
	"mime"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/value"
)

const (
	typeJSON  = "application/json"
	typeBytes = "application/octet-stream"
	typeCBOR  = "application/cbor"
	typeText  = "text/plain"
	typeYAML  = "application/yaml"
)

// accepts gives the first of offers that the request names, or "" where it names none of them.
func accepts(c *gin.Context, offers ...string) string {
	for part := range strings.SplitSeq(strings.Join(c.Request.Header.Values("Accept"), ","), ",") {
		m, params, err := mime.ParseMediaType(part)
		if err != nil || params["q"] == "0" {
			continue
		}
		for _, o := range offers {
			if m == o {
				return o
			}
		}
	}
	return ""
}

// sendJSON answers with x, in which values are in their JSON form.
func (g *Gateway) sendJSON(c *gin.Context, status int, x any) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(x); err != nil {
		return fault.From(err)
	}
	g.send(c, status, typeJSON, b.Bytes())
	return nil
}

// sendValue answers with one value: as JSON, or as what the request accepts where the value is that. With natural, bytes
// and text come as they are unless the request accepts something else.
func (g *Gateway) sendValue(c *gin.Context, v value.Value, natural bool) error {
	kind, b, err := v.Payload()
	if err != nil {
		return err
	}
	c.Header("Vary", "Accept")
	want := accepts(c, typeJSON, typeBytes, typeText, typeCBOR)
	switch {
	case want == typeCBOR:
		if b, err = v.MarshalCBOR(); err != nil {
			return err
		}
		g.send(c, 200, typeCBOR, b)
	case kind == value.Bytes && (want == typeBytes || natural && want == ""):
		g.send(c, 200, typeBytes, b)
	case kind == value.Text && (want == typeText || natural && want == "") && isText(v):
		g.send(c, 200, typeText+"; charset=utf-8", b)
	default:
		if b, err = v.JSON(); err != nil {
			return err
		}
		g.send(c, 200, typeJSON, b)
	}
	return nil
}
