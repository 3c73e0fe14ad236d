package load

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestSchema holds the fields of a result against testdata/schema-1.txt: within a version, fields are added and never
// taken away. docs/formats/load-result.md says what they are.
func TestSchema(t *testing.T) {
	full := &Run{
		Case: "c", Target: "t", Phase: "run", Began: time.Unix(1, 0), Loop: "open", Arrival: "poisson", Durability: "d", Offered: 1, NotStarted: 1,
		CPUPerOp: 1, Operations: []Operation{{Name: "READ", Errors: 1, Missing: 1, Service: &Latency{}}}, Series: []Point{{Errors: 1, P50: 1, P99: 1}},
		Failures: []Failure{{}}, Integrity: &Integrity{Why: "w", Examples: []string{"e"}}, Partial: "p", Notes: []string{"n"},
	}
	b, err := json.Marshal(&Report{Schema: Schema, Env: map[string]any{"go": "1"}, Properties: map[string]string{"p": "v"}, Runs: []*Run{full}, Held: map[string]float64{"r": 1}})
	if err != nil {
		t.Fatal(err)
	}
	var x any
	if err := json.Unmarshal(b, &x); err != nil {
		t.Fatal(err)
	}
	fields := map[string]bool{}
	walk(x, "", fields)
	got := slices.Sorted(maps.Keys(fields))
	want, err := os.ReadFile("testdata/schema-1.txt")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := os.ReadFile("../../docs/formats/load-result.md")
	if err != nil {
		t.Fatal(err)
	}
	for f := range strings.Lines(string(want)) {
		if !slices.Contains(got, strings.TrimSpace(f)) {
			t.Errorf("field %s is gone", f)
		}
	}
	for _, f := range got {
		if !strings.Contains(string(want), f+"\n") {
			t.Errorf("field %s is new: add it to testdata/schema-1.txt and to the document", f)
		}
		path, _, _ := strings.Cut(f, ":")
		if name := path[strings.LastIndex(path, ".")+1:]; !strings.Contains(string(doc), "`"+strings.TrimSuffix(name, "[]")+"`") {
			t.Errorf("docs/formats/load-result.md says nothing of %s", path)
		}
	}
}

// walk collects the paths of fields with their types.
func walk(x any, at string, into map[string]bool) {
	switch x := x.(type) {
	case map[string]any:
		for name, v := range x {
			if at == ".env" || at == ".properties" || at == ".ratios" {
				return // free
			}
			walk(v, at+"."+name, into)
		}
		if at == "" {
			for _, free := range []string{".env", ".properties", ".ratios"} {
				into[free+":map[string]interface {}"] = true
			}
		}
	case []any:
		for _, v := range x {
			walk(v, at+"[]", into)
		}
	default:
		into[fmt.Sprintf("%s:%T", at, x)] = true
	}
}
