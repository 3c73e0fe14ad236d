package dag_test

import (
	"fmt"
	"time"

	"github.com/squall-faas/squall/dag"
)

func ExampleNew() {
	b := dag.New("identifiers")
	counts := b.Map("counts", "count", b.Input("files"), dag.Retries(2, 50*time.Millisecond))
	b.Output("top", b.Call("top", "top", b.Reduce("sum", "merge", counts), 20))
	g, err := b.Build()
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s", g.YAML())
	// Output:
	// name: identifiers
	// inputs: [files]
	// nodes:
	//   counts: {map: count, over: $files, retry: {max: 2, backoff: 50ms}}
	//   sum: {reduce: merge, over: $counts}
	//   top: {call: top, args: [$sum, 20]}
	// outputs: {top: $top}
}

func ExampleParse() {
	g, err := dag.Parse([]byte(`
name: compose
inputs: [x]
nodes:
  sq: {call: square, args: [$inc]}
  inc: {call: increment, args: [$x]}
outputs: {y: $sq}
`))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, n := range g.Nodes {
		fmt.Println(n.Name, "calls", n.Function)
	}
	// Output:
	// inc calls increment
	// sq calls square
}

func ExampleParse_cycle() {
	_, err := dag.Parse([]byte(`
name: loop
nodes:
  a: {call: f, args: [$c]}
  b: {call: f, args: [$a]}
  c: {call: f, args: [$b]}
outputs: {y: $c}
`))
	fmt.Println(err)
	// Output:
	// in DAG loop: line 4: nodes wait for each other in a cycle: a → b → c → a [invalid_dag]
}
