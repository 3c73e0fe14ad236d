package layout

// Fleet is what the choice of a code looks at.
type Fleet struct {
	Lenders int // processes that lend and take objects
	Hosts   int // on so many hosts
	// Bursts is how many of them go at once, and how often (Bursts.Rates); nil where that is not known.
	Bursts []Burst
}

// Sizes at which the choice changes. Below smallObject a shard would be so small that a round trip costs more than its
// bytes, and d round trips more than one; so copies, which cost more memory, cost little of it.
const (
	smallObject  = 256 << 10
	mediumObject = 2 << 20
)

// copies of a small object, where the fleet has as many lenders: as many losses are survived as with 10+2.
const copies = 3

// tolerable is how often in an hour an object may be lost to a burst, as far as more parity helps: once in more than a year.
// mostExtra is how much parity more than usual is spent on that.
const (
	tolerable = 1e-4
	mostExtra = 3
)

// Choose gives the code for an object of size bytes: 10+2 where the fleet has room for it, 4+2 and 2+1 on smaller ones or
// for smaller objects, copies (1+p) for small objects and for fleets of one or two. A negative size is one that is not
// known yet: it counts as large. A stripe gets no wider than the fleet, so that no lender has to hold two shards of it;
// and, where there are several hosts, no wider than that the loss of one of them is survived. Where several lenders go at
// once, there is as much parity, up to three shards more than that, as keeps an object a year on the average.
func Choose(size int64, f Fleet) Code {
	n := max(f.Lenders, 1)
	for _, c := range []struct {
		Code
		from int64 // bytes
	}{{Code{10, 2}, mediumObject}, {Code{4, 2}, smallObject}, {Code{2, 1}, smallObject}} {
		if n >= c.Width() && (size < 0 || size >= c.from) && (f.Hosts <= 1 || shardOf(int64(c.Width()), f.Hosts) <= int64(c.Parity)) {
			return widened(c.Code, n, f.Bursts)
		}
	}
	return widened(Code{1, min(n, copies) - 1}, n, f.Bursts)
}

// widened gives a code as much more parity as the fleet's bursts ask for and its lenders have room for.
func widened(c Code, lenders int, bursts []Burst) Code {
	for most := c.Parity + mostExtra; c.Parity < most && c.Width() < lenders && losses(c, lenders, bursts) > tolerable; {
		c.Parity++
	}
	return c
}
