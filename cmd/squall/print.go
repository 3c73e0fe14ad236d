package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/value"
)

// table is a list in all forms of output.
type table struct {
	header  []string
	rows    [][]string
	objects []any
}

// add adds a row, and what it is in JSON.
func (t *table) add(object any, row ...string) {
	t.rows = append(t.rows, row)
	t.objects = append(t.objects, object)
}

// print prints a list in the form that was asked for.
func (a *app) print(t table) error {
	switch a.set.Output {
	case "json":
		if t.objects == nil {
			t.objects = []any{}
		}
		return a.printJSON(t.objects)
	case "jsonl":
		for _, o := range t.objects {
			if err := a.printJSON(o); err != nil {
				return err
			}
		}
		return nil
	}
	return printTable(a.out, t.header, t.rows)
}

func printTable(w io.Writer, header []string, rows [][]string) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, r := range append([][]string{header}, rows...) {
		if _, err := fmt.Fprintln(tw, strings.Join(r, "\t")); err != nil {
			return err
		}
	}
	return tw.Flush()
}

// printJSON prints one document, on one line in jsonl.
func (a *app) printJSON(x any) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if a.set.Output != "jsonl" {
		e.SetIndent("", "  ")
	}
	if err := e.Encode(x); err != nil {
		return fault.From(err)
	}
	_, err := a.out.Write(b.Bytes())
	return err
}

// printObject prints one thing: in a form of JSON, or as people see it.
func (a *app) printObject(x any, people func(io.Writer) error) error {
	if a.set.Output == "table" {
		return people(a.out)
	}
	return a.printJSON(x)
}

// printValue prints a value: for people bytes and text as they are, anything else as JSON.
func (a *app) printValue(v value.Value) error {
	if a.set.Output != "table" {
		return a.printJSON(v)
	}
	_, err := a.out.Write(shown(v, true))
	return err
}

// shown is a value as people see it, text and JSON with a line's end.
func shown(v value.Value, end bool) []byte {
	kind, b, err := v.Payload()
	if err == nil && kind == value.Bytes {
		return b
	}
	if err != nil || kind != value.Text {
		if b, err = v.JSON(); err != nil {
			b = []byte("(" + fault.From(err).Message + ")")
		}
	}
	if end && !bytes.HasSuffix(b, []byte("\n")) {
		b = append(b[:len(b):len(b)], '\n')
	}
	return b
}

// bare is a list of URLs without credentials.
func bare(urls string) string {
	parts := strings.Split(urls, ",")
	for i, p := range parts {
		if u, err := url.Parse(p); err == nil && u.User != nil {
			u.User = nil
			parts[i] = u.String()
		}
	}
	return strings.Join(parts, ",")
}

func short(version string) string { return version[:min(len(version), 12)] }

func ago(ns int64) string {
	if ns == 0 {
		return "-"
	}
	return time.Since(time.Unix(0, ns)).Round(time.Millisecond).String()
}

// size is a number of bytes for people.
func size(n int64) string {
	f, unit := float64(n), "B"
	for _, u := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if f < 1024 {
			break
		}
		f, unit = f/1024, u
	}
	if unit == "B" {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", f, unit)
}
