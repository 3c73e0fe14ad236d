package fn_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/squall-faas/squall/executor/runtime/runtimetest"
	"github.com/squall-faas/squall/fn"
	"github.com/squall-faas/squall/value"
)

// A function that streams is one like any other where nobody reads along: what it yields is a list, and so is what it takes.
func ExampleProduce() {
	lines := fn.Produce(func(_ fn.Context, n int) fn.Stream[string] {
		return func(yield func(string, error) bool) {
			for i := range n {
				if i == 3 {
					yield("", errors.New("three is refused"))
					return
				}
				if !yield(fmt.Sprint("line ", i), nil) {
					return
				}
			}
		}
	})
	first := fn.Consume(func(_ fn.Context, lines fn.Stream[string]) (string, error) {
		for line, err := range lines {
			return line, err // the rest is not read
		}
		return "nothing", nil
	})
	c := runtimetest.NewContext(context.Background())
	list, err := lines.Invoke(c, []value.Value{value.MustOf(2)})
	all, _ := value.As[[]string](list)
	fmt.Println(all, err)
	line, err := first.Invoke(c, []value.Value{list})
	text, _ := value.As[string](line)
	fmt.Println(text, err)
	_, err = lines.Invoke(c, []value.Value{value.MustOf(5)})
	fmt.Println(err)
	_, err = first.Invoke(c, []value.Value{value.MustOf([]int{7})})
	fmt.Println(err)
	// Output:
	// [line 0 line 1] <nil>
	// line 0 <nil>
	// three is refused
	// a value of type int does not fit string: cbor: cannot unmarshal positive integer into Go value of type string [wrong_type]
}
