package gateway_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

func TestDocumentNamesEveryEndpoint(t *testing.T) {
	b, err := os.ReadFile("../../docs/http.md")
	if err != nil {
		t.Fatal(err)
	}
	h := open(t)
	for _, r := range h.gateway.Routes() {
		r = regexp.MustCompile(`[:*]([a-z]+)`).ReplaceAllString(r, "{$1}")
		if !strings.Contains(string(b), "| `"+r+"` |") {
			t.Errorf("docs/http.md says nothing of %s", r)
		}
	}
}
