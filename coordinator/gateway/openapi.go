package gateway

import (
	_ "embed"
	"net/http"

	"github.com/gin-gonic/gin"
)

//go:embed openapi.json
var openAPI []byte

// openAPI: GET /openapi.json.
func (g *Gateway) openAPI(c *gin.Context) error {
	g.send(c, http.StatusOK, typeJSON, openAPI)
	return nil
}
