package ycsb

import "math/rand/v2"

// newRand is the generator of one stream of a seed.
func newRand(seed, stream uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, stream)) }

// mix64 is the finisher of splitmix64 (Steele, Lea, Flood, OOPSLA 2014): every bit of x changes half of the result's.
func mix64(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// hash64 is YCSB's FNV hash of a number, 64 bits, never negative.
func hash64(n int64) int64 {
	const offset, prime = 0xCBF29CE484222325, 1099511628211
	h, v := uint64(offset), uint64(n)
	for range 8 {
		h = (h ^ v&0xff) * prime
		v >>= 8
	}
	if s := int64(h); s >= 0 {
		return s
	}
	return max(-int64(h), 0) // the least number has no opposite
}
