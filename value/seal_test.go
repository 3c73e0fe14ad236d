//go:build squalldebug

package value

import (
	"strings"
	"testing"
)

func TestWritesAreFound(t *testing.T) {
	ints, raw, part, m, p, texts := []int{1}, []byte{1}, []byte{1}, map[string]int{}, &point{}, []string{"a"}
	view := moved(t, MustOf([]float64{1, 2}))
	list := []Value{MustOf(1)}
	for name, c := range map[string]struct {
		v     Value
		write func()
	}{
		"slice":    {MustOf(ints), func() { ints[0] = 2 }},
		"bytes":    {MustOf(raw), func() { raw[0] = 2 }},
		"map":      {MustOf(m), func() { m["a"] = 1 }},
		"pointer":  {MustOf(p), func() { p.X = 1 }},
		"texts":    {MustOf(texts), func() { texts[0] = "b" }},
		"payload":  {view, func() { view.data[5]++ }},
		"list":     {List(list), func() { list[0] = MustOf(2) }},
		"elements": {List([]Value{MustOf(part)}), func() { part[0]++ }},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := As[any](c.v); err != nil {
				t.Fatal(err)
			}
			c.write()
			for what, use := range map[string]func(){
				"as": func() { _, _ = As[any](c.v) }, "into": func() { _ = c.v.Into(new(any)) }, "wire": func() { _, _ = c.v.Wire() },
			} {
				if msg := caught(use); !strings.Contains(msg, "written to") {
					t.Errorf("%s: %q", what, msg)
				}
			}
		})
	}
}

func caught(f func()) (msg string) {
	defer func() { msg, _ = recover().(string) }()
	f()
	return ""
}
