package dag_test

import (
	"fmt"
	"time"

	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/value"
)

// A shell feeds a run with what happens and does what it says; this one runs square(increment(x)) on one site.
func ExampleRun() {
	b := dag.New("compose")
	b.Output("y", b.Call("sq", "square", b.Call("inc", "increment", b.Input("x"))))
	g, err := b.Build()
	if err != nil {
		fmt.Println(err)
		return
	}
	functions := map[string]func(int) int{
		"increment": func(x int) int { return x + 1 },
		"square":    func(x int) int { return x * x },
	}
	run := dag.NewRun(g, dag.RunConfig{Plan: dag.Plan{Home: make([]dag.Site, len(g.Nodes))}})
	todo := run.Step(time.Now(), dag.Event{Kind: dag.Arrived, Value: value.MustOf(2)}, nil)
	for len(todo) > 0 {
		c := todo[0]
		todo = todo[1:]
		switch c.Kind {
		case dag.Invoke:
			function := g.Nodes[c.Invocation.Node].Function
			x, err := value.As[int](c.Args[0])
			if err != nil {
				fmt.Println(err)
				return
			}
			y := functions[function](x)
			fmt.Printf("%s(%d) = %d\n", function, x, y)
			todo = run.Step(time.Now(), dag.Event{Kind: dag.Finished, Invocation: c.Invocation, Value: value.MustOf(y)}, todo)
		case dag.Reply:
			y, err := value.As[int](c.Outputs[0])
			fmt.Println("reply", y, err)
		}
	}
	// Output:
	// increment(2) = 3
	// square(3) = 9
	// reply 9 <nil>
}
