package cache_test

import (
	"context"
	"fmt"

	"github.com/squall-faas/squall/cache"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

func Example() {
	ctx := context.Background()
	store := kvs.NewMemory()
	defer store.Close()
	c, err := cache.New(cache.Config{Store: store, MaxBytes: 64 << 20})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()

	if _, err := c.Put(ctx, "greeting", value.MustOf("hello")); err != nil {
		fmt.Println(err)
		return
	}
	args, err := c.Resolve(ctx, []value.Value{value.MustOf(value.Ref("greeting")), value.MustOf(3)})
	if err != nil {
		fmt.Println(err)
		return
	}
	text, err := value.As[string](args[0])
	fmt.Println(text, err, c.Stats().Reads)

	_, err = c.Resolve(ctx, []value.Value{value.MustOf(value.Ref("farewell"))})
	fmt.Println(err)
	// Output:
	// hello <nil> 0
	// argument 1 refers to key "farewell", under which there is no value: put it first [not_found]
}
