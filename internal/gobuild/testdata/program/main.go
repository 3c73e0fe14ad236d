// A function in a main package, whose main does something else.
package main

import (
	"fmt"

	"github.com/squall-faas/squall/fn"
)

func main() { fmt.Println("run as a program") }

func serve(_ fn.Context, n int) error {
	if n < 0 {
		return fmt.Errorf("%d is negative", n)
	}
	return nil
}
