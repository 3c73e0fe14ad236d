package cache

import (
	"reflect"
	"strings"
	"sync"
	"unsafe"

	"github.com/squall-faas/squall/cache/session"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/kvs/version"
	"github.com/squall-faas/squall/value"
)

// together is the longest payload that lies in its item.
const together = 16 << 10

// An item, its key, its value where that is short, and the marks of its dependencies, are one piece of memory:
//
//	item: what a hit does not look at ── version: Key, Value ── until, cost │ key │ value │ marks
//	                                     └──────────── what a hit waits for ────────────┘ └ and in a session
//
// So a hit waits for memory once, and not for the item, then for the key, and then for the value: what comes after the first
// cache line is fetched by the processor in advance, and is in the same page (BenchmarkHitOverMap). A value that is long has
// memory of its own.
//
// The collector looks at the item only: what lies behind it has no pointers.

// grain is what the length of what lies behind an item is a multiple of, so that there are some hundred types of it at most.
const grain = 64

// laid are the types of an item with so many grains behind it.
var laid [(together+2*version.MaxDeps*int(unsafe.Sizeof(session.Mark{})))/grain + 1]struct {
	once sync.Once
	of   reflect.Type
}

// newLaid gives an item with n bytes behind it, which begin at a multiple of eight and are zero.
func newLaid(n int) (*item, []byte) {
	const size = unsafe.Sizeof(item{})
	i := (n + grain - 1) / grain
	if i >= len(laid) { // a very long key, say
		return new(item), make([]byte, n)
	}
	t := &laid[i]
	t.once.Do(func() {
		t.of = reflect.StructOf([]reflect.StructField{
			{Name: "Item", Type: reflect.TypeFor[item]()},
			{Name: "Behind", Type: reflect.ArrayOf(i*grain, reflect.TypeFor[byte]())},
		})
	})
	it := (*item)(reflect.New(t.of).UnsafePointer())
	if n == 0 {
		return it, nil
	}
	return it, unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(it), size)), n)
}

// lay makes an item of a version that shares neither key nor value with it, nor with whoever made these, and gives the bytes
// that its value holds on to. A live Go value would be of unknown size, so only its encoding is kept; text stays a string,
// which readers get without a copy.
func lay(v *version.Version, x value.Value) (*item, int64, error) {
	const markSize = int(unsafe.Sizeof(session.Mark{}))
	kind, b, text, err := payload(x)
	if err != nil {
		return nil, 0, err
	}
	here := len(text) + len(b)
	if here > together {
		here = 0
	}
	pad := 0
	if here > 0 && kind != value.Text {
		pad = padding(len(v.Key), value.Lead(kind, b))
	}
	end := pad + len(v.Key) + here
	at := (end + 7) &^ 7 // of the marks
	it, behind := newLaid(at + len(v.Deps)*markSize)
	it.Version, it.lines = *v, linesOf(end)
	if len(v.Deps) > 0 {
		it.marks = session.MarkAll(unsafe.Slice((*session.Mark)(unsafe.Pointer(&behind[at])), len(v.Deps))[:0], v.Deps)
	}
	if len(v.Key) > 0 {
		copy(behind[pad:], v.Key)
		it.Key = kvs.Key(unsafe.String(&behind[pad], len(v.Key)))
	}
	own := behind[end-here : end : end] // for the value
	switch {
	case here == 0 && kind == value.Text:
		text = strings.Clone(text)
		it.Value = value.MustOf(text)
		return it, int64(len(text)), nil
	case kind == value.Text:
		copy(own, text)
		it.Value = value.MustOf(unsafe.String(&own[0], len(text)))
		return it, int64(len(text)), nil
	case here == 0:
		if cap(b) > len(b)+len(b)/8 {
			b = value.Copy(kind, b) // a short piece of a long buffer would keep all of it
		}
		it.Value, err = value.FromPayload(kind, b)
		return it, int64(cap(b)), err
	}
	copy(own, b)
	it.Value, err = value.FromPayload(kind, own)
	return it, int64(here), err
}

// payload is what is kept of a value: text, or b.
func payload(x value.Value) (kind value.Kind, b []byte, text string, err error) {
	if x.Kind() == value.Text {
		if s, err := value.As[string](x); err == nil {
			return value.Text, nil, s, nil
		}
	}
	if kind, b, err = x.Payload(); err != nil {
		return 0, nil, "", fault.From(err)
	}
	return kind, b, "", nil
}

// apart is a key for whoever keeps it for longer than its item: the item's own would keep all of it.
func apart(key kvs.Key) kvs.Key { return kvs.Key(strings.Clone(string(key))) }

// padding before a key of n bytes, which begins at a multiple of eight, puts what follows it lead bytes behind a multiple of
// eight, where numbers are read without a copy.
func padding(n, lead int) int { return (8 + lead - n%8) % 8 }
