package reuse

import (
	"bytes"
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/golden"
)

var taken = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func names(keys []Key) (out []string) {
	for _, k := range keys {
		out = append(out, k.Name)
	}
	return out
}

func TestRecordOrder(t *testing.T) {
	r := NewRecord(taken, []Key{
		{Name: "big", Bytes: 1 << 20, Hits: 100},
		{Name: "small", Bytes: 1 << 10, Hits: 100},
		{Name: "small, long ago", Bytes: 1 << 10, Hits: 100, Idle: 2 * time.Hour},
		{Name: "small, rare", Bytes: 1 << 10, Hits: 2},
		{Name: "tiny, once", Bytes: 1, Hits: 1},
		{Name: "big and hot", Bytes: 1 << 20, Hits: 1e6},
		{Name: "never", Bytes: 1},
		{Name: "", Bytes: 1, Hits: 1},
		{Name: strings.Repeat("x", MaxName+1), Hits: 1},
		{Name: "small", Bytes: 1 << 10, Hits: 1}, // told of twice
	})
	want := []string{"big and hot", "small", "small, long ago", "tiny, once", "small, rare", "big"}
	if got := names(r.Keys()); !slices.Equal(got, want) {
		t.Fatalf("%q, want %q", got, want)
	}
	if got := names(r.Warm(1<<20 + 4<<10)); !slices.Equal(got, []string{"big and hot", "small", "small, long ago"}) {
		t.Errorf("into a megabyte and a little: %q", got)
	}
	if got := names(r.Warm(8 << 10)); !slices.Equal(got, []string{"small", "small, long ago", "tiny, once", "small, rare"}) {
		t.Errorf("into 8 KiB: %q: what is too big is passed over", got)
	}
	if got := r.Warm(0); len(got) != 0 {
		t.Errorf("into nothing: %q", names(got))
	}
}

func TestRecordMerge(t *testing.T) {
	older := NewRecord(taken, []Key{
		{Name: "both", Bytes: 10, Version: 1, Hits: 100, Idle: time.Hour},
		{Name: "gone", Bytes: 10, Version: 2, Hits: 8, Idle: time.Minute},
		{Name: "fades", Bytes: 10, Version: 3, Hits: 1},
	})
	newer := NewRecord(taken.Add(10*time.Minute), []Key{
		{Name: "both", Bytes: 20, Version: 7, Hits: 30},
		{Name: "new", Bytes: 10, Version: 8, Hits: 5},
	})
	got := slices.Clone(Merge(older, newer).Keys())
	slices.SortFunc(got, func(a, b Key) int { return cmp.Compare(a.Name, b.Name) })
	want := []Key{
		{Name: "both", Bytes: 20, Version: 7, Hits: 80},
		{Name: "gone", Bytes: 10, Version: 2, Hits: 4, Idle: 11 * time.Minute},
		{Name: "new", Bytes: 10, Version: 8, Hits: 5},
	}
	if !slices.Equal(got, want) {
		t.Fatalf("%+v, want %+v", got, want)
	}
	if m := Merge(Record{}, newer); !reflect.DeepEqual(m, newer) {
		t.Errorf("with nothing before: %+v", m)
	}
	// What is not used any more is gone after a few lives.
	r := older
	for i := range 8 {
		r = Merge(r, NewRecord(taken.Add(time.Duration(i+1)*time.Hour), []Key{{Name: "new", Hits: 1}}))
	}
	if got := names(r.Keys()); !slices.Equal(got, []string{"new"}) {
		t.Errorf("%q", got)
	}
}

// TestRecordIsBounded in keys and bytes, whatever it is made of.
func TestRecordIsBounded(t *testing.T) {
	for _, length := range []int{8, 100, MaxName} {
		var keys []Key
		for i := range 3 * MaxKeys {
			name := fmt.Sprintf("%0*d", length, i)
			keys = append(keys, Key{Name: name, Bytes: maxBytes - int64(i), Version: math.MaxUint64, Hits: math.MaxUint64, Idle: maxIdle})
		}
		r := NewRecord(taken, keys)
		b, err := r.Encode()
		if err != nil || len(b) > MaxEncoded || len(r.Keys()) > MaxKeys {
			t.Fatalf("%d keys in %d bytes, %v", len(r.Keys()), len(b), err)
		}
		if len(r.Keys()) < MaxKeys && len(b) < MaxEncoded-2*MaxName {
			t.Fatalf("%d keys of %d bytes in %d only", len(r.Keys()), length, len(b))
		}
		if got, err := DecodeRecord(b); err != nil || !reflect.DeepEqual(got, r) {
			t.Fatalf("does not come back: %v", err)
		}
		m := Merge(r, r)
		if b, err := m.Encode(); err != nil || len(b) > MaxEncoded || len(m.Keys()) != len(r.Keys()) {
			t.Fatalf("merged: %d keys in %d bytes, %v", len(m.Keys()), len(b), err)
		}
	}
}

func drawRecord(t *rapid.T, label string) Record {
	keys := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Key {
		return Key{
			Name:    rapid.StringN(0, 4, 8).Draw(t, "name"),
			Bytes:   rapid.Int64().Draw(t, "bytes"),
			Version: rapid.Uint64().Draw(t, "version"),
			Hits:    rapid.Uint64().Draw(t, "hits"),
			Idle:    time.Duration(rapid.Int64().Draw(t, "idle")),
		}
	}), 0, 20).Draw(t, label)
	return NewRecord(taken.Add(time.Duration(rapid.Int64Range(-1e17, 1e17).Draw(t, label+" taken"))), keys)
}

func TestRecordRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := Merge(drawRecord(t, "older"), drawRecord(t, "newer"))
		b, err := r.Encode()
		if err != nil {
			t.Fatal(err)
		}
		got, err := DecodeRecord(b)
		if err != nil || !reflect.DeepEqual(got, r) {
			t.Fatalf("%+v, %v; want %+v", got, err, r)
		}
		budget := rapid.Int64().Draw(t, "budget")
		sum := int64(0)
		for _, k := range r.Warm(budget) {
			sum += k.Bytes
		}
		if sum > max(budget, 0) {
			t.Fatalf("%d bytes into %d", sum, budget)
		}
	})
}

func TestDecodeRecordRefuses(t *testing.T) {
	good, err := NewRecord(taken, []Key{{Name: "a", Bytes: 1, Hits: 1}}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	item := []byte{0x85, 0x41, 'a', 1, 0, 1, 0}
	join := func(parts ...[]byte) []byte { return append([]byte{recordVersion}, bytes.Join(parts, nil)...) }
	for name, b := range map[string][]byte{
		"empty":           nil,
		"no body":         {recordVersion},
		"a later version": append([]byte{recordVersion + 1}, good[1:]...),
		"cut off":         good[:len(good)-1],
		"something after": append(slices.Clone(good), 0),
		"a key twice":     join([]byte{0x82, 0, 0x82}, item, item),
		"a field less":    join([]byte{0x82, 0, 0x81, 0x84, 0x41, 'a', 1, 0, 1}),
		"a field more":    join([]byte{0x82, 0, 0x81, 0x86, 0x41, 'a', 1, 0, 1, 0, 0}),
		"no name":         join([]byte{0x82, 0, 0x81, 0x85, 0x40, 1, 0, 1, 0}),
		"never hit":       join([]byte{0x82, 0, 0x81, 0x85, 0x41, 'a', 1, 0, 0, 0}),
		"too big":         join([]byte{0x82, 0, 0x81, 0x85, 0x41, 'a', 0x1b, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0}),
		"too many":        join([]byte{0x82, 0, 0x9a, 0xff, 0xff, 0xff, 0xff}),
		"endless":         join([]byte{0x82, 0, 0x9f, 0xff}),
		"too long":        make([]byte, MaxEncoded+1),
		"no time":         join([]byte{0x82, 0x1b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x80}),
	} {
		if _, err := DecodeRecord(b); !fault.Is(err, fault.Unsupported) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := DecodeRecord(join([]byte{0x82, 0, 0x81}, item)); err != nil {
		t.Errorf("the plain form of these: %v", err)
	}
}

// TestGolden: records of applications that unloaded under an earlier release warm them under this one.
func TestGolden(t *testing.T) {
	r := NewRecord(taken, []Key{
		{Name: "a", Bytes: 1, Version: 7, Hits: 9}, {Name: "b\xff", Bytes: 1 << 30, Version: 1 << 40, Hits: 3, Idle: time.Hour},
	})
	b, err := r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if back, err := DecodeRecord(golden.Check(t, "record", b)); err != nil || !reflect.DeepEqual(back, r) {
		t.Errorf("it is read as %+v, %v", back, err)
	}
}

func FuzzDecodeRecord(f *testing.F) {
	for n := range 3 {
		keys := make([]Key, n)
		for i := range keys {
			keys[i] = Key{Name: fmt.Sprint("key ", i), Bytes: int64(i) << 20, Version: 7, Hits: 3, Idle: time.Hour}
		}
		b, err := NewRecord(taken, keys).Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := DecodeRecord(b)
		if err != nil {
			if !fault.Is(err, fault.Unsupported) {
				t.Fatalf("%v", err)
			}
			return
		}
		again, err := r.Encode()
		if err != nil || len(again) > MaxEncoded {
			t.Fatalf("%d bytes, %v", len(again), err)
		}
		if same, err := DecodeRecord(again); err != nil || !reflect.DeepEqual(same, r) {
			t.Fatalf("%+v, %v; was %+v", same, err, r)
		}
		_ = r.Warm(1 << 20)
	})
}

func BenchmarkNewRecord(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	keys := make([]Key, 50_000)
	for i := range keys {
		keys[i] = Key{Name: fmt.Sprintf("user:%08d", i), Bytes: rng.Int64N(1 << 20), Hits: 1 + rng.Uint64N(100), Idle: time.Duration(rng.Int64N(int64(time.Hour)))}
	}
	b.ReportAllocs()
	for b.Loop() {
		NewRecord(taken, keys)
	}
}
