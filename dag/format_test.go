package dag_test

import (
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/squall-faas/squall/dag"
)

// TestFormatPage holds docs/formats/graph.md to the fields of the code.
func TestFormatPage(t *testing.T) {
	page, err := os.ReadFile("../docs/formats/graph.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]string{}
	for _, row := range regexp.MustCompile(`(?m)^\| (\w+) \| (1 .*) \|$`).FindAllStringSubmatch(string(page), -1) {
		documented[row[1]] = row[2]
	}
	parts := []any{dag.Graph{}, dag.Node{}, dag.Arg{}, dag.Const{}, dag.Retry{}, dag.Output{}, dag.Join{}, dag.Condition{}}
	if len(documented) != len(parts) {
		t.Errorf("%d parts are documented, want %d", len(documented), len(parts))
	}
	for _, p := range parts {
		typ := reflect.TypeOf(p)
		var fields []string
		for i := range typ.NumField() {
			f := typ.Field(i)
			key, rest, _ := strings.Cut(f.Tag.Get("cbor"), ",")
			if key == "" {
				continue
			}
			text := key + " " + f.Name
			if strings.Contains(rest, "omitempty") {
				text += "?"
			}
			elem, list := f.Type, f.Type.Kind() == reflect.Slice && f.Type.Elem().Kind() != reflect.Uint8
			for elem.Kind() == reflect.Pointer || elem.Kind() == reflect.Slice {
				elem = elem.Elem()
			}
			if elem.Kind() == reflect.Struct {
				text += ": " + elem.Name()
			}
			if list {
				text += "…"
			}
			fields = append(fields, text)
		}
		if got, want := documented[typ.Name()], strings.Join(fields, ", "); got != want {
			t.Errorf("%s is documented as\n%s\nand has\n%s", typ.Name(), got, want)
		}
	}
}
