// Identifiers counts the identifiers of Go files: a Map over references, a Reduce, and a durable run that anyone may
// wait for. The function that reads the files is a Go package, built to WebAssembly when it is registered.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/squall-faas/squall"
	"github.com/squall-faas/squall/client"
	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/fn"
)

// merge adds two counts up. It writes to neither: values are shared.
func merge(_ fn.Context, a, b map[string]int) (map[string]int, error) {
	sum := maps.Clone(a)
	for word, n := range b {
		sum[word] += n
	}
	return sum, nil
}

// top lists the five most frequent identifiers, the first one first.
func top(_ fn.Context, counts map[string]int) ([]string, error) {
	words := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	return words[:min(5, len(words))], nil
}

func setup(ctx context.Context, c *client.Client) error {
	_, e1 := c.Register(ctx, "count", client.GoPackage("./count", "Count")) // a Go func, run as wasm
	_, e2 := c.Register(ctx, "merge", client.Native2(merge))
	_, e3 := c.Register(ctx, "top", client.Native(top))
	b := dag.New("identifiers")
	counts := b.Map("count", "count", b.Input("files")) // one call per file
	b.Output("top", b.Call("top", "top", b.Reduce("sum", "merge", counts)))
	g, e4 := b.Build()
	if err := errors.Join(e1, e2, e3, e4); err != nil {
		return err
	}
	_, err := c.RegisterDAG(ctx, g)
	return err
}

// put stores each file under its name, and gives the references.
func put(ctx context.Context, c *client.Client, pattern string) ([]client.Ref, error) {
	files, err := filepath.Glob(pattern)
	if err != nil {
		return nil, err
	}
	var refs []client.Ref
	for _, name := range files {
		source, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		if err := c.Put(ctx, name, source); err != nil {
			return nil, err
		}
		refs = append(refs, client.Ref(name))
	}
	return refs, nil
}

func identifiers(ctx context.Context, c *client.Client, refs []client.Ref) ([]string, error) {
	run, err := c.StartDAG(ctx, "identifiers", client.Inputs{"files": refs}, client.Durable())
	if err != nil {
		return nil, err
	}
	out, err := run.Get(ctx) // or keep run.ID(), and c.Attach(ctx, id) tomorrow, from anywhere
	if err != nil {
		return nil, err
	}
	return client.Output[[]string](out, "top")
}

func run(ctx context.Context, w io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "squall-identifiers-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	s, err := squall.Open(ctx, squall.Config{Dir: dir, Executors: 2}) // with a directory, what is durable is on disk
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := setup(ctx, s.Client); err != nil {
		return err
	}
	refs, err := put(ctx, s.Client, "testdata/*.go")
	if err != nil {
		return err
	}
	words, err := identifiers(ctx, s.Client, refs)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "most frequent in %d files: %v\n", len(refs), words)
	return nil
}

func main() {
	// ./count and ./testdata are relative to this directory; the program may be run from the module's root as well.
	if _, err := os.Stat("count"); err != nil {
		if err := os.Chdir(filepath.Join("examples", "identifiers")); err != nil {
			log.Fatal("run this program in its own directory or in the root of the module: ", err)
		}
	}
	if err := run(context.Background(), os.Stdout); err != nil {
		log.Fatal(err)
	}
}
