package lattice

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/squall-faas/squall/fault"
)

// MaxWindow is how many ids a Window remembers.
const MaxWindow = 1024

// OpID names one update, the same each time that it is executed again.
type OpID [16]byte

// Window remembers the ids of the latest updates, so that one that is executed again counts once. It is stored beside the
// state that the updates went into, and joined when the state is. Immutable; the zero Window is empty.
//
// A window is a lattice too: each id has an age, one more than that of the latest when it was added; a join takes the higher
// age of each id and keeps the MaxWindow ids of the highest ages. What falls out once would fall out of every later join
// as well, so the order of joins does not matter.
type Window struct {
	marks []mark // in order of ids
}

type mark struct {
	id  OpID
	age uint64 // from 1
}

func (m mark) order(id OpID) int { return bytes.Compare(m.id[:], id[:]) }

// byAge puts the oldest first.
func byAge(a, b mark) int {
	if c := cmp.Compare(a.age, b.age); c != 0 {
		return c
	}
	return a.order(b.id)
}

// Has reports whether id is remembered.
func (w Window) Has(id OpID) bool {
	_, found := slices.BinarySearchFunc(w.marks, id, mark.order)
	return found
}

// Len is the number of ids.
func (w Window) Len() int { return len(w.marks) }

// With remembers id as the latest; a full window forgets the oldest. One that is remembered already keeps its age.
func (w Window) With(id OpID) Window {
	at, found := slices.BinarySearchFunc(w.marks, id, mark.order)
	if found {
		return w
	}
	latest := uint64(0)
	for i := range w.marks {
		latest = max(latest, w.marks[i].age)
	}
	return Window{trimmed(inserted(w.marks, at, mark{id, latest + 1}))}
}

// Join remembers what either does, up to MaxWindow ids.
func (w Window) Join(o Window) Window {
	a, b := w.marks, o.marks
	out := make([]mark, 0, max(len(a), len(b)))
	for len(a) > 0 && len(b) > 0 {
		switch order := a[0].order(b[0].id); {
		case order < 0:
			out, a = append(out, a[0]), a[1:]
		case order > 0:
			out, b = append(out, b[0]), b[1:]
		default:
			out = append(out, mark{a[0].id, max(a[0].age, b[0].age)})
			a, b = a[1:], b[1:]
		}
	}
	return Window{trimmed(append(append(out, a...), b...))}
}

// trimmed drops the oldest of what is too many, in place.
func trimmed(marks []mark) []mark {
	over := len(marks) - MaxWindow
	if over <= 0 {
		return marks
	}
	if over == 1 { // every With to a full window
		oldest := 0
		for i := range marks {
			if marks[i].age < marks[oldest].age { // of one age, the first has the lower id
				oldest = i
			}
		}
		return slices.Delete(marks, oldest, oldest+1)
	}
	byAges := slices.SortedFunc(slices.Values(marks), byAge)
	first := byAges[over]
	return slices.DeleteFunc(marks, func(m mark) bool { return byAge(m, first) < 0 })
}

// windowVersion is the first byte of an encoded Window.
const windowVersion = 1

// Append appends the encoding: the version, then [ids, [age, …]], oldest first, each age less the one before it: some 17
// bytes an id. Equal windows have equal bytes.
func (w Window) Append(dst []byte) []byte {
	marks := slices.SortedFunc(slices.Values(w.marks), byAge)
	dst = appendHead(appendList(append(dst, windowVersion), 2), majorBytes, uint64(16*len(marks)))
	for _, m := range marks {
		dst = append(dst, m.id[:]...)
	}
	dst = appendList(dst, len(marks))
	last := uint64(0)
	for _, m := range marks {
		dst = appendUint(dst, m.age-last)
		last = m.age
	}
	return dst
}

// DecodeWindow reads what Append wrote and nothing else: other bytes are invalid_argument, a later version unsupported.
func DecodeWindow(b []byte) (Window, error) {
	if len(b) > 0 && b[0] > windowVersion {
		return Window{}, fault.New(fault.Unsupported, "version %d of a window of updates is of a later version of Squall: upgrade this node", b[0])
	}
	if len(b) == 0 || b[0] != windowVersion {
		return Window{}, fault.New(fault.InvalidArgument, "malformed window of updates: its first byte is not %d", windowVersion)
	}
	r := reader{b: b[1:]}
	r.tuple(2)
	ids := r.chunk(majorBytes)
	n := r.length(majorList, 1)
	if r.err == nil && (len(ids) != 16*n || n > MaxWindow) {
		r.fail(errItem)
	}
	marks := make([]mark, 0, min(n, MaxWindow))
	age := uint64(0)
	for i := 0; i < n && r.err == nil; i++ {
		delta := r.uint()
		if r.err == nil && (delta > maxCount || age > maxCount-delta || age+delta == 0) {
			r.fail(errRange)
			break
		}
		age += delta
		m := mark{id: OpID(ids[16*i : 16*i+16]), age: age}
		if r.err == nil && i > 0 && byAge(marks[i-1], m) >= 0 {
			r.fail(errOrder)
		}
		marks = append(marks, m)
	}
	slices.SortFunc(marks, func(a, b mark) int { return a.order(b.id) })
	for i := 1; i < len(marks); i++ {
		if marks[i].id == marks[i-1].id {
			r.fail(errOrder)
		}
	}
	if err := r.end("window of updates"); err != nil {
		return Window{}, err
	}
	return Window{marks}, nil
}

// Size is about how many bytes of memory the window holds.
func (w Window) Size() int { return 24 * len(w.marks) }
