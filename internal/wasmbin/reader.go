package wasmbin

import (
	"fmt"
	"unicode/utf8"
)

// reader walks bytes that nobody has vouched for. The first failure sticks: from then on every read gives zero, the
// position stays, and err says what was wrong and where. So a parser may read a group of fields and look at err once,
// as long as it looks before it loops on a count or allocates by one.
type reader struct {
	b    []byte
	pos  int
	base int // offset of b in the module, for messages
	err  *malformed
}

// malformed is what is wrong with a module, and where.
type malformed struct {
	offset  int
	message string
}

func (m *malformed) Error() string { return fmt.Sprintf("byte %d: %s", m.offset, m.message) }

func (r *reader) failAt(pos int, format string, args ...any) {
	if r.err == nil {
		r.err = &malformed{offset: r.base + pos, message: fmt.Sprintf(format, args...)}
	}
}

func (r *reader) fail(format string, args ...any) { r.failAt(r.pos, format, args...) }

func (r *reader) left() int { return len(r.b) - r.pos }

// more reports whether there is anything left to read and nothing has failed.
func (r *reader) more() bool { return r.err == nil && r.pos < len(r.b) }

func (r *reader) u8(what string) byte {
	if r.err != nil {
		return 0
	}
	if r.pos >= len(r.b) {
		r.fail("it ends where %s should stand", what)
		return 0
	}
	c := r.b[r.pos]
	r.pos++
	return c
}

// u32 reads an unsigned LEB128 number of at most 32 bits.
func (r *reader) u32(what string) uint32 {
	if r.err != nil {
		return 0
	}
	if r.pos < len(r.b) && r.b[r.pos] < 0x80 { // nearly all of them
		r.pos++
		return uint32(r.b[r.pos-1])
	}
	var x uint32
	for shift := uint(0); ; shift += 7 {
		c := r.u8(what)
		if r.err != nil {
			return 0
		}
		if shift == 28 && c > 0x0f {
			r.failAt(r.pos-1, "%s is not a number of 32 bits", what)
			return 0
		}
		x |= uint32(c&0x7f) << shift
		if c < 0x80 {
			return x
		}
	}
}

// signed reads a signed LEB128 number of at most bits bits: 32, 33 or 64.
func (r *reader) signed(bits uint, what string) int64 {
	var x int64
	for shift := uint(0); ; shift += 7 {
		c := r.u8(what)
		if r.err != nil {
			return 0
		}
		if rest := bits - shift; rest < 7 {
			// The last byte that may be: all bits from the sign upwards must agree with the sign.
			top := int8(c<<1) >> rest // arithmetic; 0 or -1 where they do
			if c >= 0x80 || (top != 0 && top != -1) {
				r.failAt(r.pos-1, "%s is not a number of %d bits", what, bits)
				return 0
			}
		}
		x |= int64(c&0x7f) << shift
		if c < 0x80 {
			if s := shift + 7; s < 64 && c&0x40 != 0 {
				x |= -1 << s
			}
			return x
		}
	}
}

// take gives a view of the next n bytes.
func (r *reader) take(n uint32, what string) []byte {
	if r.err != nil {
		return nil
	}
	if uint64(n) > uint64(r.left()) {
		r.fail("%s needs %d bytes and %d are left", what, n, r.left())
		return nil
	}
	r.pos += int(n)
	return r.b[r.pos-int(n) : r.pos]
}

// sub gives a reader over the next n bytes, which reports offsets in the whole module.
func (r *reader) sub(n uint32, what string) *reader {
	base := r.base + r.pos
	b := r.take(n, what)
	return &reader{b: b, base: base, err: r.err}
}

// count reads the length of a vector of which each entry takes at least least bytes. A count that the bytes left
// cannot hold is refused here, before anybody allocates by it.
func (r *reader) count(limit, least int, what string) int {
	at := r.pos
	n := r.u32("the number of " + what)
	switch {
	case r.err != nil:
		return 0
	case uint64(n) > uint64(limit):
		r.failAt(at, "it has %d %s and at most %d are allowed", n, what, limit)
		return 0
	case uint64(n)*uint64(least) > uint64(r.left()):
		r.failAt(at, "it claims %d %s with %d bytes left", n, what, r.left())
		return 0
	}
	return int(n)
}

func (r *reader) name(what string) string {
	at := r.pos
	n := r.u32("the length of " + what)
	if r.err == nil && n > maxName {
		r.failAt(at, "%s has %d bytes and at most %d are allowed", what, n, maxName)
	}
	b := r.take(n, what)
	if r.err == nil && !utf8.Valid(b) {
		r.failAt(at, "%s is not UTF-8", what)
		return ""
	}
	return string(b)
}

// zero reads a byte that must be 0, in the single byte form that all engines read alike.
func (r *reader) zero(what string) {
	if c := r.u8(what); r.err == nil && c != 0 {
		r.failAt(r.pos-1, "%s must be 0", what)
	}
}

// done fails unless everything has been read.
func (r *reader) done(what string) {
	if r.err == nil && r.left() > 0 {
		r.fail("%s ends with %d bytes too many", what, r.left())
	}
}
