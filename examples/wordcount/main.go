// Wordcount counts the words of texts that lie in the store, one call per text.
package main

import (
	"cmp"
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"os"
	"slices"
	"strings"
	"unicode"

	"github.com/squall-faas/squall"
	"github.com/squall-faas/squall/client"
	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/fn"
)

//go:embed texts/*.txt
var texts embed.FS // the openings of three novels, long in the public domain

// Counts is how often each word occurs.
type Counts map[string]int

func count(_ fn.Context, text string) (Counts, error) {
	counts := Counts{}
	for _, word := range strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) }) {
		counts[word]++
	}
	return counts, nil
}

// merge is associative, as a Reduce asks for. It writes to neither argument: values are shared.
func merge(_ fn.Context, a, b Counts) (Counts, error) {
	sum := maps.Clone(a)
	for word, n := range b {
		sum[word] += n
	}
	return sum, nil
}

func run(ctx context.Context, w io.Writer) (err error) {
	s, err := squall.Open(ctx, squall.Config{Executors: 3})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()

	_, e1 := s.Register(ctx, "count", client.Native(count))
	_, e2 := s.Register(ctx, "merge", client.Native2(merge))
	b := dag.New("wordcount")
	counts := b.Map("count", "count", b.Input("texts"))                        // one call per text, on all executors
	b.Output("words", b.Reduce("sum", "merge", counts, dag.Initial(Counts{}))) // in pairs, as a tree
	g, e3 := b.Build()
	if err := errors.Join(e1, e2, e3); err != nil {
		return err
	}
	if _, err := s.RegisterDAG(ctx, g); err != nil {
		return err
	}

	// Each text is put under a key. The call passes references, and each executor's cache reads what it needs.
	var refs []client.Ref
	files, err := texts.ReadDir("texts")
	if err != nil {
		return err
	}
	for _, f := range files {
		text, err := texts.ReadFile("texts/" + f.Name())
		if err != nil {
			return err
		}
		key := "text/" + f.Name()
		if err := s.Put(ctx, key, string(text)); err != nil {
			return err
		}
		refs = append(refs, client.Ref(key))
	}
	out, err := s.CallDAG(ctx, "wordcount", client.Inputs{"texts": refs})
	if err != nil {
		return err
	}
	words, err := client.Output[Counts](out, "words")
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%d different words in %d texts\n", len(words), len(refs))
	for _, word := range slices.SortedFunc(maps.Keys(words), func(a, b string) int {
		return cmp.Or(cmp.Compare(words[b], words[a]), cmp.Compare(a, b))
	})[:8] {
		fmt.Fprintf(w, "%4d %s\n", words[word], word)
	}

	// No texts at all: the Reduce's initial value.
	if out, err = s.CallDAG(ctx, "wordcount", client.Inputs{"texts": []client.Ref{}}); err != nil {
		return err
	}
	none, err := client.Output[Counts](out, "words")
	fmt.Fprintf(w, "%d words in no text\n", len(none))
	return err
}

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		log.Fatal(err)
	}
}
