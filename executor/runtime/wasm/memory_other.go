//go:build !unix

package wasm

// region is memory from the Go heap where there is no mmap.
type region struct {
	most uint64
	b    []byte
}

func reserve(n uint64) region { return region{most: n} }

func (r *region) grow(n uint64) []byte {
	if n > r.most {
		return nil
	}
	if n > uint64(cap(r.b)) {
		b := make([]byte, n, min(r.most, max(n, 2*uint64(cap(r.b)))))
		copy(b, r.b)
		r.b = b
	}
	r.b = r.b[:n]
	return r.b
}

func (r *region) release() { r.b = nil }
