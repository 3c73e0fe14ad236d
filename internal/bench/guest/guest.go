// Package guest holds the functions that `squall bench compose` measures as WebAssembly: the cheapest there are, so
// that what is measured is the way in and out.
package guest

import "github.com/squall-faas/squall/fn"

// Hop adds one.
func Hop(_ fn.Context, x int) (int, error) { return x + 1, nil }

// HopBytes adds one to the first byte.
func HopBytes(_ fn.Context, b []byte) ([]byte, error) {
	out := append([]byte(nil), b...)
	out[0]++
	return out, nil
}

// Item is one line of an Order.
type Item struct {
	SKU   string
	Count int
	Cents int64
}

// Order is a small struct of the kind that services pass around.
type Order struct {
	ID       int64
	Customer string
	Express  bool
	Hops     int
	Items    []Item
}

// HopOrder counts one hop more.
func HopOrder(_ fn.Context, o Order) (Order, error) {
	o.Hops++
	return o, nil
}
