// Coded multiplies a matrix with vectors on workers of which some are too slow, without waiting for them: any four of
// six blocks give the result.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"slices"
	"sync"

	"github.com/squall-faas/squall"
	"github.com/squall-faas/squall/client"
	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/fn"
	"github.com/squall-faas/squall/value"
)

const (
	needed = 4  // blocks that suffice
	blocks = 6  // blocks in all
	size   = 32 // rows and columns of the matrix
)

// Product is a matrix times a vector, and which blocks gave it.
type Product struct {
	Vector []int64
	From   []int
}

// workers are those of a process, and know which of them are slow.
type workers struct {
	slow []int
	busy sync.WaitGroup // until the slow ones have begun: the example is to show how they end
	done chan int       // the slow blocks whose workers were let go
}

// multiply is the work on one block. A slow worker is one that does not return at all.
func (w *workers) multiply(c fn.Context, block int, rows [][]uint64, vector []int64) ([]uint64, error) {
	if slices.Contains(w.slow, block) {
		w.busy.Done()
		<-c.Done()
		w.done <- block
		return nil, c.Err()
	}
	w.busy.Wait()
	return times(rows, vector)
}

// collect makes the product of the parts that came first.
func collect(_ fn.Context, parts []fn.Part) (Product, error) {
	from, products, err := fn.PartsOf[[]uint64](parts)
	if err != nil {
		return Product{}, err
	}
	vector, err := decode(from, products, needed)
	return Product{vector[:min(size, len(vector))], from}, err
}

// key is where a block of the matrix is stored.
func key(block int) string { return fmt.Sprintf("matrix/%d", block) }

// setup stores the coded matrix, once for all the vectors that come, and registers the DAG:
//
//	x ─┬─▶ block-0 ─┐
//	   ├─▶ …        ├─▶ collect, as soon as any four are there
//	   └─▶ block-5 ─┘
func setup(ctx context.Context, c *client.Client, w *workers, matrix [][]int64) error {
	coded, err := encode(matrix, needed, blocks)
	if err != nil {
		return err
	}
	_, e1 := c.Register(ctx, "multiply", client.Native3(w.multiply))
	_, e2 := c.Register(ctx, "collect", client.Native(collect))
	errs := []error{e1, e2}
	b := dag.New("coded")
	x := b.Input("x")
	var products []dag.Ref
	for i := range blocks {
		errs = append(errs, c.Put(ctx, key(i), coded[i]))
		// A block is passed by reference: it is read through the cache of the node where its worker runs.
		products = append(products, b.Call(fmt.Sprintf("block-%d", i), "multiply", i, value.Ref(key(i)), x))
	}
	b.Output("y", b.Call("collect", "collect", dag.KOf(needed, products...)))
	g, err := b.Build()
	if err = errors.Join(append(errs, err)...); err != nil {
		return err
	}
	_, err = c.RegisterDAG(ctx, g)
	return err
}

// example is a matrix and a vector of small numbers.
func example() (matrix [][]int64, vector []int64) {
	matrix, vector = make([][]int64, size), make([]int64, size)
	for r := range matrix {
		matrix[r] = make([]int64, size)
		for c := range matrix[r] {
			matrix[r][c] = int64((r*7+c*13)%19 - 9)
		}
		vector[r] = int64(r%11 - 5)
	}
	return matrix, vector
}

// plain is the product computed here.
func plain(matrix [][]int64, vector []int64) []int64 {
	out := make([]int64, len(matrix))
	for r, row := range matrix {
		for c, x := range row {
			out[r] += x * vector[c]
		}
	}
	return out
}

func run(ctx context.Context, w io.Writer, slow ...int) (err error) {
	s, err := squall.Open(ctx, squall.Config{Executors: 2, Slots: blocks})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	pool := &workers{slow: slow, done: make(chan int, blocks)}
	pool.busy.Add(len(slow))
	matrix, vector := example()
	if err := setup(ctx, s.Client, pool, matrix); err != nil {
		return err
	}
	out, err := s.CallDAG(ctx, "coded", client.Inputs{"x": vector})
	if err != nil {
		return err
	}
	y, err := client.Output[Product](out, "y")
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "product of %d numbers from blocks %v: correct %t\n", len(y.Vector), y.From, slices.Equal(y.Vector, plain(matrix, vector)))
	// The workers of the other blocks are told that nobody waits for them.
	var released []int
	for range slow {
		select {
		case block := <-pool.done:
			released = append(released, block)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	slices.Sort(released)
	fmt.Fprintf(w, "workers let go: %v\n", released)
	return nil
}

func main() {
	if err := run(context.Background(), os.Stdout, 1, 4); err != nil {
		log.Fatal(err)
	}
}
