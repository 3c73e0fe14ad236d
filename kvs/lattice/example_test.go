package lattice_test

import (
	"fmt"

	"github.com/squall-faas/squall/internal/hlc"
	"github.com/squall-faas/squall/kvs/lattice"
	"github.com/squall-faas/squall/value"
)

func must[T any](x T, err error) T {
	if err != nil {
		panic(err)
	}
	return x
}

// Two nodes change a key without talking to each other. Merged in either order, both changes count.
func Example() {
	clock := hlc.New(1, nil)
	apply := func(s lattice.State, actor uint64, words ...string) lattice.State {
		op := must(lattice.ParseOp(words...))
		return must(lattice.Apply(s, op, lattice.By{Actor: actor, Stamp: clock.Now()}))
	}
	stored := must(apply(nil, 1, "field", "visits", "add", "1").Append(nil))

	here := apply(must(lattice.Decode(stored)), 2, "field", "visits", "add", "10")
	there := apply(must(lattice.Decode(stored)), 3, "field", "visitors", "insert", "ada")

	fmt.Println(string(must(must(here.Join(there)).Read().JSON())))
	fmt.Println(string(must(must(there.Join(here)).Read().JSON())))
	// Output:
	// {"visitors":["ada"],"visits":11}
	// {"visitors":["ada"],"visits":11}
}

// A session writes with the clock of what it has read: that is replaced, what it has not seen stays beside it.
func ExampleMultiValue_Assign() {
	at := func(n uint64) hlc.Stamp { return hlc.Stamp{Time: n} }
	m := lattice.MultiValue{}.Assign(1, nil, at(1), value.MustOf("draft"))
	read := m.Clock
	m = m.Assign(2, read, at(2), value.MustOf("hers")) // both have read the draft
	m = m.Assign(3, read, at(3), value.MustOf("his"))
	for _, s := range m.Siblings {
		fmt.Println(must(value.As[string](s.Value)))
	}
	fmt.Println("a reader gets", must(value.As[string](m.Read())))
	// Output:
	// hers
	// his
	// a reader gets his
}
