package lattice

import (
	"fmt"
	"strings"
	"testing"

	"github.com/squall-faas/squall/value"
)

func BenchmarkJoinMultiValue(b *testing.B) {
	for _, siblings := range []int{1, 4, 32} {
		b.Run(fmt.Sprintf("siblings=%d", siblings), func(b *testing.B) {
			v := fromWire(wire(value.MustOf(strings.Repeat("x", 1000)))) // as it comes from a store
			var one, other MultiValue
			for i := range uint64(siblings) { // half of the actors are known to both
				one = one.Assign(2*i+1, nil, stampAt(i), v)
				if i%2 == 0 {
					other = other.Assign(2*i+1, nil, stampAt(i), v)
				} else {
					other = other.Assign(2*i+2, nil, stampAt(i), v)
				}
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := one.Join(other); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkApplyCounter(b *testing.B) {
	for _, actors := range []int{1, 16, 256} {
		b.Run(fmt.Sprintf("actors=%d", actors), func(b *testing.B) {
			var s State
			op := Op{Kind: Add, Arg: value.MustOf(1)}
			step := func(actor int) {
				var err error
				if s, err = Apply(s, op, By{Actor: uint64(actor)}); err != nil {
					b.Fatal(err)
				}
			}
			for i := range actors {
				step(i)
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				step(i % actors)
			}
		})
	}
}

func BenchmarkApplyInsert(b *testing.B) {
	for _, n := range []int{10, 1000} {
		b.Run(fmt.Sprintf("elements=%d", n), func(b *testing.B) {
			s := Set{}
			var err error
			for i := range n {
				if s, err = s.Insert(1, value.MustOf(i)); err != nil {
					b.Fatal(err)
				}
			}
			op := Op{Kind: Insert, Arg: value.MustOf(n / 2)}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Apply(s, op, By{Actor: 2}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkApplyField(b *testing.B) {
	var s State
	var err error
	for i := range 20 {
		op := Op{Kind: Field, Field: fmt.Sprint("f", i), Inner: &Op{Kind: Add, Arg: value.MustOf(1)}}
		if s, err = Apply(s, op, By{Actor: 1}); err != nil {
			b.Fatal(err)
		}
	}
	op := Op{Kind: Field, Field: "f7", Inner: &Op{Kind: Add, Arg: value.MustOf(1)}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Apply(s, op, By{Actor: 2}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, s := range seeds() {
		enc, err := s.Append(nil)
		if err != nil {
			b.Fatal(err)
		}
		if len(enc) < 12 {
			continue
		}
		b.Run(fmt.Sprintf("%s/bytes=%d", s.Type(), len(enc)), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Decode(enc); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkWindowWith(b *testing.B) {
	var w Window
	for n := range uint64(MaxWindow) {
		w = w.With(opID(n))
	}
	b.ReportAllocs()
	for n := uint64(MaxWindow); b.Loop(); n++ {
		w = w.With(opID(n))
	}
}
