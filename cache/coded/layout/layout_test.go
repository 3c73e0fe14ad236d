package layout

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/squall-faas/squall/fault"
)

// sizes draws those that matter: none, one, around multiples, up to the largest.
func sizes() *rapid.Generator[int64] {
	return rapid.OneOf(
		rapid.Just(int64(0)), rapid.Just(int64(1)), rapid.Just(int64(MaxObject)),
		rapid.Int64Range(0, 1<<12), rapid.Int64Range(0, MaxObject),
		rapid.Custom(func(t *rapid.T) int64 {
			return max(0, min(MaxObject, rapid.Int64Range(0, 1600).Draw(t, "stripes")*10*ShardBytes+rapid.Int64Range(-2, 2).Draw(t, "off")))
		}),
	)
}

func codes() *rapid.Generator[Code] {
	return rapid.Custom(func(t *rapid.T) Code {
		return Code{rapid.IntRange(1, 20).Draw(t, "data"), rapid.IntRange(0, 6).Draw(t, "parity")}
	})
}

// TestStripesCoverTheObject: stripes lie one behind the other and make up the object; data shards hold its bytes once, and
// all shards of a stripe are as long as its arithmetic needs.
func TestStripesCoverTheObject(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size, code := sizes().Draw(t, "size"), codes().Draw(t, "code")
		s, err := Cut(size, code)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Check(); err != nil {
			t.Fatal(err)
		}
		columns := make([]int64, code.Width())
		var at int64
		for i := range s.Stripes() {
			x := s.Stripe(i)
			if x.Offset != at || x.Length < 1 || x.Shard < 1 || x.Shard > ShardBytes || x.Padded() < x.Length || x.Padded()-x.Length >= x.Data {
				t.Fatalf("stripe %+v at %d", x, at)
			}
			data := 0
			for c := range code.Width() {
				n := x.Stored(c)
				columns[c] += int64(n)
				if c < code.Data {
					data += n
				} else if n != x.Shard {
					t.Fatalf("parity of %d bytes in %+v", n, x)
				}
			}
			if data != x.Length {
				t.Fatalf("%d bytes in the shards of %+v", data, x)
			}
			at += int64(x.Length)
		}
		if at != size {
			t.Fatalf("stripes of %d bytes, the object has %d", at, size)
		}
		for c, n := range columns {
			if s.Column(c) != n {
				t.Fatalf("column %d has %d bytes, not %d", c, n, s.Column(c))
			}
		}
	})
}

// TestRangesNeedWhatTheyCover: the parts of a range are exactly its bytes, and the columns named are those that hold them.
func TestRangesNeedWhatTheyCover(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size, code := sizes().Draw(t, "size"), codes().Draw(t, "code")
		s, err := Cut(size, code)
		if err != nil {
			t.Fatal(err)
		}
		offset := rapid.Int64Range(0, size).Draw(t, "offset")
		length := rapid.Int64Range(0, min(size-offset, 1<<28)).Draw(t, "length")
		parts, err := s.Range(offset, length)
		if err != nil {
			t.Fatal(err)
		}
		at := offset
		for _, p := range parts {
			if p.Offset+int64(p.From) != at || p.From >= p.To || p.To > p.Length {
				t.Fatalf("part %+v at %d", p, at)
			}
			if p.First != p.From/p.Shard || p.First*p.Shard > p.From || p.Beyond*p.Shard < p.To || (p.Beyond-1)*p.Shard >= p.To || p.Beyond > p.Data {
				t.Fatalf("columns of %+v", p)
			}
			at += int64(p.To - p.From)
		}
		if at != offset+length {
			t.Fatalf("parts end at %d of %d", at, offset+length)
		}
	})
}

func TestRefuses(t *testing.T) {
	for name, f := range map[string]func() error{
		"no data":        func() error { _, err := Cut(1, Code{0, 2}); return err },
		"negative":       func() error { _, err := Cut(-1, Code{1, 0}); return err },
		"wide":           func() error { _, err := Cut(1, Code{60, 5}); return err },
		"overflow":       func() error { return Code{1 << 62, 1 << 62}.Check() },
		"outside":        func() error { s, _ := Cut(10, Code{2, 1}); _, err := s.Range(5, 6); return err },
		"before":         func() error { s, _ := Cut(10, Code{2, 1}); _, err := s.Range(-1, 1); return err },
		"overflow range": func() error { s, _ := Cut(10, Code{2, 1}); _, err := s.Range(9, 1<<63-1); return err },
		"no code":        func() error { _, err := ParseCode("ten"); return err },
		"half a code":    func() error { _, err := ParseCode("10"); return err },
		"more than one":  func() error { _, err := ParseCode("10+2+1"); return err },
	} {
		if err := f(); !fault.Is(err, fault.InvalidArgument) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Cut(MaxObject+1, Code{10, 2}); !fault.Is(err, fault.TooLarge) {
		t.Error(err)
	}
	if err := (Shape{Code{10, 2}, 100, 3}).Check(); !fault.Is(err, fault.Unsupported) {
		t.Error(err)
	}
	if c, err := ParseCode("10+2"); err != nil || c != (Code{10, 2}) {
		t.Error(c, err)
	}
}

// TestChoose: a stripe fits the fleet and survives what the fleet can survive.
func TestChoose(t *testing.T) {
	for _, c := range []struct {
		size    int64
		lenders int
		want    Code
	}{
		{100 << 20, 16, Code{10, 2}}, {100 << 20, 12, Code{10, 2}}, {100 << 20, 11, Code{4, 2}}, {100 << 20, 6, Code{4, 2}},
		{100 << 20, 5, Code{2, 1}}, {100 << 20, 3, Code{2, 1}}, {100 << 20, 2, Code{1, 1}}, {100 << 20, 1, Code{1, 0}}, {100 << 20, 0, Code{1, 0}},
		{1 << 20, 16, Code{4, 2}}, {100 << 10, 16, Code{1, 2}}, {100 << 10, 2, Code{1, 1}}, {0, 16, Code{1, 2}}, {-1, 16, Code{10, 2}},
	} {
		if got := Choose(c.size, Fleet{Lenders: c.lenders}); got != c.want {
			t.Errorf("%d bytes on %d lenders: %v, not %v", c.size, c.lenders, got, c.want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 100).Draw(t, "lenders")
		hosts := rapid.IntRange(1, max(n, 1)).Draw(t, "hosts")
		bursts := rapid.SliceOf(rapid.Custom(func(t *rapid.T) Burst {
			return Burst{rapid.IntRange(0, 100).Draw(t, "lenders"), rapid.Float64Range(0, 10).Draw(t, "hourly")}
		})).Draw(t, "bursts")
		c := Choose(sizes().Draw(t, "size"), Fleet{Lenders: n, Hosts: hosts, Bursts: bursts})
		if c.Check() != nil || c.Width() > max(n, 1) || n > 1 && c.Parity == 0 {
			t.Fatal(c)
		}
		if each := (c.Width() + hosts - 1) / hosts; hosts > 1 && each > c.Parity {
			t.Fatalf("%v over %d hosts does not survive one", c, hosts)
		}
	})
}
