package firstd

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func full(n int) []Column {
	cols := make([]Column, n)
	for i := range cols {
		cols[i].Bytes = 100
	}
	return cols
}

// TestDirect: where all goes well only the wanted data is asked for, and nothing has to be computed.
func TestDirect(t *testing.T) {
	p := New(10, 0, 10, full(12), time.Second)
	ask := p.Start(start)
	if !slices.Equal(ask, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}) {
		t.Fatal(ask)
	}
	for _, c := range ask {
		if p.Done() {
			t.Fatal("done before all are here")
		}
		p.Arrived(c)
	}
	if !p.Done() || !p.Direct() || len(p.Out()) > 0 {
		t.Fatalf("%+v", p)
	}
	p = New(10, 3, 5, full(12), time.Second) // a range
	if ask := p.Start(start); !slices.Equal(ask, []int{3, 4}) {
		t.Fatal(ask)
	}
}

// TestHedge: what is late gets company, and the first d are enough.
func TestHedge(t *testing.T) {
	p := New(10, 0, 10, full(12), 10*time.Millisecond)
	for _, c := range p.Start(start) {
		if c != 4 {
			p.Arrived(c)
		}
	}
	if at := p.Wake(); !at.Equal(start.Add(10 * time.Millisecond)) {
		t.Fatal(at)
	}
	if ask := p.At(start.Add(9 * time.Millisecond)); ask != nil {
		t.Fatal(ask)
	}
	if ask := p.At(start.Add(10 * time.Millisecond)); !slices.Equal(ask, []int{10}) {
		t.Fatal(ask)
	}
	p.Arrived(10)
	if !p.Done() || p.Direct() || !slices.Equal(p.Out(), []int{4}) {
		t.Fatalf("%+v", p)
	}
}

// TestFailed: another is asked at once; a range then needs d; with one loss too many it is stuck, and says so.
func TestFailed(t *testing.T) {
	p := New(4, 1, 2, full(6), time.Second)
	if ask := p.Start(start); !slices.Equal(ask, []int{1}) {
		t.Fatal(ask)
	}
	ask := p.Failed(1, start)
	if !slices.Equal(ask, []int{0, 2, 3, 4}) {
		t.Fatal(ask)
	}
	if ask := p.Failed(0, start); !slices.Equal(ask, []int{5}) {
		t.Fatal(ask)
	}
	if p.Stuck() {
		t.Fatal("four are out")
	}
	if ask := p.Failed(5, start); ask != nil || !p.Stuck() {
		t.Fatal(ask)
	}
}

// TestSlow: a slow lender is asked last.
func TestSlow(t *testing.T) {
	cols := full(12)
	cols[2].Slow, cols[2].Expect = true, time.Second
	cols[7].Slow, cols[7].Expect = true, time.Minute
	p := New(10, 0, 10, cols, time.Second)
	if ask := p.Start(start); slices.Contains(ask, 2) || slices.Contains(ask, 7) || len(ask) != 10 {
		t.Fatal(ask)
	}
	if ask := p.Failed(0, start); !slices.Equal(ask, []int{2}) {
		t.Fatal(ask)
	}
}

// TestEmptyColumns: what is all filling counts as here.
func TestEmptyColumns(t *testing.T) {
	cols := full(6)
	cols[1].Bytes, cols[2].Bytes, cols[3].Bytes = 0, 0, 0 // the object has but one shard's bytes
	p := New(4, 0, 1, cols, time.Second)
	if ask := p.Start(start); !slices.Equal(ask, []int{0}) {
		t.Fatal(ask)
	}
	if ask := p.Failed(0, start); len(ask) != 1 {
		t.Fatal(ask)
	}
	p.Arrived(4)
	if !p.Done() {
		t.Fatal("three empty shards and a parity are four")
	}
}

// TestFirstD drives a plan at random: as long as d columns can be had it ends, with d or all that are wanted, asks no column
// twice, and never waits for one that does not answer while another could be asked.
func TestFirstD(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		data, parity := rapid.IntRange(1, 10).Draw(t, "data"), rapid.IntRange(0, 4).Draw(t, "parity")
		first := rapid.IntRange(0, data-1).Draw(t, "first")
		beyond := rapid.IntRange(first+1, data).Draw(t, "beyond")
		cols := full(data + parity)
		const ( // of each column
			answers = iota
			fails
			hangs
		)
		fate := make([]int, len(cols))
		good := 0
		for i := range cols {
			cols[i].Slow = rapid.Bool().Draw(t, "slow")
			cols[i].Absent = rapid.IntRange(0, 9).Draw(t, "absent") == 0
			fate[i] = rapid.IntRange(answers, hangs).Draw(t, "fate")
			if !cols[i].Absent && fate[i] == answers {
				good++
			}
		}
		wantedGood := true
		for i := first; i < beyond; i++ {
			wantedGood = wantedGood && !cols[i].Absent && fate[i] == answers
		}
		p := New(data, first, beyond, cols, 5*time.Millisecond)
		now := start
		seen := map[int]bool{}
		var out []int
		take := func(ask []int) {
			for _, c := range ask {
				if seen[c] || cols[c].Absent {
					t.Fatalf("column %d asked twice, or absent", c)
				}
				seen[c] = true
				out = append(out, c)
			}
		}
		take(p.Start(now))
		for !p.Done() && !p.Stuck() {
			i := slices.IndexFunc(out, func(c int) bool { return fate[c] != hangs })
			if i < 0 {
				if p.Wake().IsZero() {
					break // only those are left that hang
				}
				now = p.Wake()
				take(p.At(now))
				continue
			}
			i = rapid.IntRange(0, len(out)-1).Draw(t, "next")
			c := out[i]
			if fate[c] == hangs {
				continue
			}
			out = slices.Delete(out, i, i+1)
			if fate[c] == answers {
				p.Arrived(c)
			} else {
				take(p.Failed(c, now))
			}
		}
		if can := good >= data || wantedGood; p.Done() != can && can {
			t.Fatalf("not done, though %d of %d answer; %+v", good, data, p)
		}
		if p.Done() && !p.Direct() {
			n := 0
			for i := range cols {
				if p.Here(i) {
					n++
				}
			}
			if n < data {
				t.Fatalf("done with %d of %d", n, data)
			}
		}
	})
}

// TestLearnt: a slow lender is found out, tried again after a while, and forgiven; one that fails pauses for longer each time.
func TestLearnt(t *testing.T) {
	l := NewLearnt()
	const size = 1 << 20
	if l.Hedge(size) != unknownHedge || l.Column("a", size, start).Slow {
		t.Fatal("something is known of nobody")
	}
	for range 50 {
		l.Took("a", size, 5*time.Millisecond)
		l.Took("b", size, 6*time.Millisecond)
	}
	if h := l.Hedge(size); h < 5*time.Millisecond || h > 30*time.Millisecond {
		t.Fatal(h)
	}
	if h := l.Hedge(4096); h != unknownHedge {
		t.Fatal("small shards were not seen", h)
	}
	l.Late("b", size, 100*time.Millisecond)
	if !l.Column("b", size, start).Slow || l.Column("a", size, start).Slow {
		t.Fatal("b is slow, a is not")
	}
	if !l.Probe("b", start) || l.Probe("b", start.Add(time.Second)) || !l.Probe("b", start.Add(3*time.Second)) {
		t.Fatal("now and then it is tried again")
	}
	for range 20 {
		l.Took("b", size, 5*time.Millisecond)
	}
	if l.Column("b", size, start).Slow {
		t.Fatal("b is as fast as the others again")
	}
	l.Failed("a", start)
	l.Failed("a", start)
	if !l.Column("a", size, start.Add(150*time.Millisecond)).Slow || l.Column("a", size, start.Add(250*time.Millisecond)).Slow {
		t.Fatal("a pauses for 200 ms after its second failure")
	}
}
