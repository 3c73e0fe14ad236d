package fn_test

import (
	"context"
	"fmt"

	"github.com/squall-faas/squall/executor/runtime/runtimetest"
	"github.com/squall-faas/squall/fn"
)

// Functions on any number of nodes may update a key at the same time: no update gets lost.
func ExampleAdd() {
	visit := func(c fn.Context, page string) (int64, error) {
		if err := fn.Insert(c, "pages", page); err != nil {
			return 0, err
		}
		return fn.Add(c, "visits/"+page, 1)
	}
	c := runtimetest.NewContext(context.Background())
	for _, page := range []string{"home", "about", "home"} {
		n, err := visit(c, page)
		fmt.Println(page, n, err)
	}
	pages, err := fn.Members[string](c, "pages")
	fmt.Println(pages, err) // in the order of their encoding
	// Output:
	// home 1 <nil>
	// about 1 <nil>
	// home 2 <nil>
	// [about home] <nil>
}

func ExampleSend() {
	asker, answerer := runtimetest.NewPair(context.Background())
	double := func(c fn.Context) error {
		n, from, err := fn.Recv[int](c)
		if err != nil {
			return err
		}
		return fn.Send(c, from, 2*n)
	}
	fmt.Println(fn.Send(asker, answerer.Address(), 21))
	fmt.Println(double(answerer))
	n, _, err := fn.Recv[int](asker)
	fmt.Println(n, err)
	// Output:
	// <nil>
	// <nil>
	// 42 <nil>
}
