package dag

import "strconv"

// Single is the graph of a plain function call: inputs "0" to "arity-1", one node named as the function, and the
// output "result". It does not validate: the caller has checked the function's name, and that arity is at most MaxArgs.
func Single(function string, arity int) *Graph {
	g := &Graph{
		Name:    function,
		Nodes:   []Node{{Name: function, Kind: Call, Function: function}},
		Outputs: []Output{{Name: "result", From: Source(arity)}},
	}
	if arity > 0 {
		g.Inputs = make([]string, arity)
		g.Nodes[0].Args = make([]Arg, arity)
	}
	for i := range arity {
		g.Inputs[i] = strconv.Itoa(i)
		g.Nodes[0].Args[i].From = Source(i)
		if g.Inputs[i] == function {
			g.Nodes[0].Name = "call" // a function that is called "0" may not share its name with an input
		}
	}
	g.index = newIndex(g)
	return g
}
