package reuse_test

import (
	"fmt"
	"hash/maphash"

	"github.com/squall-faas/squall/cache/reuse"
)

// Two applications share 600 KiB: one goes round and round over 400 objects of a kibibyte, of which a least-recently-used
// cache keeps nothing until it keeps all; the other one needs 50.
func Example() {
	seed := maphash.MakeSeed()
	loop, small := reuse.NewSketch(reuse.Config{}), reuse.NewSketch(reuse.Config{})
	for i := range 40_000 {
		loop.Touch(maphash.Comparable(seed, i%400), 1<<10)
		small.Touch(maphash.Comparable(seed, i%50), 1<<10)
	}
	c := loop.Curve()
	fmt.Printf("300 KiB: %.0f%%, 400 KiB: %.0f%%\n", 100*c.HitRatio(300<<10), 100*c.HitRatio(410<<10))

	split := reuse.Split([]reuse.App{{Curve: c, Rate: 1000}, {Curve: small.Curve(), Rate: 1000}},
		reuse.Terms{Budget: 600 << 10, Floor: 16 << 10, Grain: 8 << 10})
	fmt.Println("the loop fits:", split[0] >= 400<<10, "and the rest:", split[1] >= 50<<10)
	// Output:
	// 300 KiB: 0%, 400 KiB: 99%
	// the loop fits: true and the rest: true
}

func ExampleSpread() {
	s := reuse.Spread{Bandwidth: 1.25e9} // 10 Gb/s, of which one object may take a quarter
	fmt.Println(s.Replicas(2, 1<<20, 8), s.Replicas(10, 100<<20, 8))
	// Output: 1 4
}
