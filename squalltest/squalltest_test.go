package squalltest_test

import (
	"testing"

	"github.com/squall-faas/squall/client"
	"github.com/squall-faas/squall/fn"
	"github.com/squall-faas/squall/squalltest"
)

func TestStart(t *testing.T) {
	c := squalltest.Start(t, 2)
	double := func(_ fn.Context, x int) (int, error) { return 2 * x, nil }
	if _, err := c.Register(t.Context(), "double", client.Native(double)); err != nil {
		t.Fatal(err)
	}
	if n, err := client.Call[int](t.Context(), c.Client, "double", 21); err != nil || n != 42 {
		t.Fatalf("double(21) = %d, %v", n, err)
	}
	members, err := c.Members(t.Context())
	if err != nil || len(members) != 2 {
		t.Fatalf("%d members, %v", len(members), err)
	}
}
