package ycsb_test

import (
	"maps"
	"strings"
	"testing"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/ycsb"
)

func TestReadProperties(t *testing.T) {
	const text = "\ufeff# comment\r\n" +
		"! another\n" +
		"   recordcount=1000  \n" +
		"operationcount : 20\n" +
		"table other table\n" +
		"keyprefix=\n" +
		"requestdistribution = \\\n   zip\\\n\tfian\n" +
		`a\ key\:with = va\u0041l\tue\\` + "\n" +
		"recordcount=7\n" +
		"last=x\\"
	var p ycsb.Properties
	if err := p.Read(strings.NewReader(text), "file"); err != nil {
		t.Fatal(err)
	}
	if err := p.Override(" threadcount = 4"); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"recordcount": "7", "operationcount": "20", "table": "other table", "keyprefix": "", "requestdistribution": "zipfian",
		"a key:with": "vaAl\tue\\", "last": "x", "threadcount": "4",
	}
	if got := p.All(); !maps.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

func TestReadPropertiesRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"a=1\n=2":                    "file:2",
		`a=\u12`:                     `\u`,
		`a=\uzzzz`:                   "hexadecimal",
		strings.Repeat("x", 1<<20+1): "no property file",
	} {
		var p ycsb.Properties
		if err := p.Read(strings.NewReader(text), "file"); !fault.Is(err, fault.InvalidArgument) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: %v, want an invalid_argument that says %s", text, err, want)
		}
	}
	var p ycsb.Properties
	for _, bad := range []string{"", "threadcount", "=3"} {
		if err := p.Override(bad); !fault.Is(err, fault.InvalidArgument) {
			t.Errorf("-p %q: %v", bad, err)
		}
	}
	if err := p.ReadFile(t.TempDir() + "/none"); !fault.Is(err, fault.NotFound) {
		t.Errorf("no file: %v", err)
	}
}

func FuzzReadProperties(f *testing.F) {
	f.Add("a=b\\\n c\\u0041 : d\n!x\n")
	f.Fuzz(func(t *testing.T, text string) {
		var p ycsb.Properties
		if err := p.Read(strings.NewReader(text), "file"); err != nil && !fault.Is(err, fault.InvalidArgument) {
			t.Fatal(err)
		}
		if _, err := ycsb.New(&p); err != nil && !fault.Is(err, fault.InvalidArgument) {
			t.Fatal(err)
		}
	})
}
