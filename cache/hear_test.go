package cache

import "testing"

// TestHitsAreCounted: few Gets are counted one by one, and many are estimated well enough; a cachelet that is all but full takes
// note of more of them than one that is not.
func TestHitsAreCounted(t *testing.T) {
	s := newStage(t)
	c := start(t, s, 0)
	put(t, s, "k", 1)
	get := func(n int) {
		t.Helper()
		for range n {
			wantInt(t, c, "k", 1)
		}
	}
	get(crowd / 2)
	if st := c.Stats(); st.Hits != crowd/2-1 || st.Misses != 1 {
		t.Fatalf("%+v after %d Gets", st, crowd/2)
	}
	const many = 50 * crowd
	get(many)
	// The standard deviation is at most the root of 64 times as many: under two in a hundred.
	if st := c.Stats(); st.Hits < many*9/10 || st.Hits > many*11/10 || st.Misses != 1 {
		t.Fatalf("%+v after %d Gets", st, many+crowd/2)
	}
	l := c.Main()
	if l.sparsest() != sparse {
		t.Fatal("nothing has to leave, and yet many Gets are noted")
	}
	l.bytes.Add(l.capacity.Load())
	defer l.bytes.Add(-l.capacity.Load())
	if l.sparsest() != dense {
		t.Fatal("it is full, and yet few Gets are noted")
	}
	l.sampler.mask.Store(sparse - 1)
	l.sampler.tick(l.sparsest())
	if got := l.sampler.mask.Load(); got > dense-1 {
		t.Fatalf("one in %d is noted of a full cachelet", got+1)
	}
}

// TestSamplerCalms: when the Gets become few again, all are noted.
func TestSamplerCalms(t *testing.T) {
	var p sampler
	for range 10 * crowd {
		p.thin(sparse)
	}
	if p.mask.Load() != sparse-1 {
		t.Fatalf("one in %d is noted of a crowd", p.mask.Load()+1)
	}
	p.noted.Store(crowd)
	p.tick(sparse)
	if p.mask.Load() != sparse-1 {
		t.Fatal("it is calm while they are many")
	}
	for range 6 {
		p.tick(sparse)
	}
	if p.mask.Load() != 0 {
		t.Fatalf("one in %d is noted of none", p.mask.Load()+1)
	}
}
