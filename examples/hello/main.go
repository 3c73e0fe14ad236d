// Hello composes square(increment(x)) on a whole cluster inside this process.
package main

import (
	"context"
	"fmt"

	"github.com/squall-faas/squall"
	"github.com/squall-faas/squall/client"
	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/fn"
)

func increment(_ fn.Context, x int) (int, error) { return x + 1, nil }
func square(_ fn.Context, x int) (int, error)    { return x * x, nil }

func main() {
	ctx := context.Background()
	s := must(squall.Open(ctx, squall.Config{}))
	defer s.Close()
	must(s.Register(ctx, "increment", client.Native(increment)))
	must(s.Register(ctx, "square", client.Native(square)))
	b := dag.New("compose")
	b.Output("y", b.Call("sq", "square", b.Call("inc", "increment", b.Input("x"))))
	must(s.RegisterDAG(ctx, must(b.Build())))
	out := must(s.CallDAG(ctx, "compose", client.Inputs{"x": 2}))
	fmt.Println(must(client.Output[int](out, "y"))) // 9
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
