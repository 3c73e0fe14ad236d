package value

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"reflect"
	"testing"
	"time"
	"unsafe"

	"github.com/squall-faas/squall/fault"
)

func TestArrayBytes(t *testing.T) {
	for _, c := range []struct {
		x    any
		want string
	}{
		{[]float64{1}, "d85648000000000000f03f"},
		{[]float32{1}, "d855440000803f"},
		{[]int{1}, "d84f480100000000000000"},
		{[]int64{-1}, "d84f48ffffffffffffffff"},
		{[]int32{1}, "d84e4401000000"},
		{[]int16{1}, "d84d420100"},
		{[]int8{-1}, "d84841ff"},
		{[]uint{1}, "d847480100000000000000"},
		{[]uint64{1}, "d847480100000000000000"},
		{[]uint32{1}, "d8464401000000"},
		{[]uint16{1}, "d845420100"},
		{[]celsius{1}, "d85648000000000000f03f"},
		{[]time.Duration{1}, "d84f480100000000000000"},
		{[]float64{}, "80"},
		{[]float64(nil), "80"},
		{[]celsius(nil), "80"},
	} {
		_, b, err := MustOf(c.x).Payload()
		if got := fmt.Sprintf("%x", b); err != nil || got != c.want {
			t.Errorf("%T: got %s (%v), want %s", c.x, got, err, c.want)
		}
	}
}

// Every tag of RFC 8746 §2.1 that Go has numbers for, from bytes written by hand.
func TestArrayTags(t *testing.T) {
	put := func(order binary.AppendByteOrder, width int, bits uint64) []byte {
		switch width {
		case 1:
			return []byte{byte(bits)}
		case 2:
			return order.AppendUint16(nil, uint16(bits))
		case 4:
			return order.AppendUint32(nil, uint32(bits))
		}
		return order.AppendUint64(nil, bits)
	}
	for tag := range uint64(100) {
		n, ok := tagNumbers(tag)
		if want := tag >= 64 && tag <= 87 && tag != 76 && tag != 83 && tag != 87; ok != want {
			t.Fatalf("tag %d: %v", tag, ok)
		}
		if !ok {
			continue
		}
		if n.little && tag != 68 && n.tag() != tag {
			t.Errorf("tag %d comes back as %d", tag, n.tag())
		}
		var order binary.AppendByteOrder = binary.BigEndian
		if n.little {
			order = binary.LittleEndian
		}
		bits := uint64(5)
		if n.class == floats {
			bits = map[int]uint64{2: 0x4500, 4: uint64(math.Float32bits(5)), 8: math.Float64bits(5)}[n.width]
		}
		raw := append(put(order, n.width, bits), put(order, n.width, 0)...)
		b := append(appendHead(appendHead(nil, majorTag, tag), majorBytes, uint64(len(raw))), raw...)
		v, err := FromPayload(CBOR, b)
		if err != nil {
			t.Fatal(err)
		}
		if got := as[[]float64](t, v); !reflect.DeepEqual(got, []float64{5, 0}) {
			t.Errorf("tag %d as floats: %v", tag, got)
		}
		if got := as[[2]float32](t, v); got != [2]float32{5, 0} {
			t.Errorf("tag %d as an array: %v", tag, got)
		}
		if got := as[[]any](t, v); len(got) != 2 || fmt.Sprint(got) != "[5 0]" {
			t.Errorf("tag %d as anys: %v", tag, got)
		}
		if got := as[any](t, v); fmt.Sprint(got) != "[5 0]" || reflect.TypeOf(got).Kind() != reflect.Slice {
			t.Errorf("tag %d as any: %#v", tag, got)
		}
		vs, err := v.Elements()
		if err != nil || len(vs) != 2 || as[float64](t, vs[0]) != 5 {
			t.Errorf("tag %d: elements %v, %v", tag, vs, err)
		}
		ints, err := As[[]uint8](v)
		if fits := n.class != floats; fits != (err == nil) || fits && !bytes.Equal(ints, []byte{5, 0}) {
			t.Errorf("tag %d as bytes: %v, %v", tag, ints, err)
		}
	}
}

func TestArrayIsAView(t *testing.T) {
	xs := make([]float64, 20000)
	xs[7] = 7
	w, err := MustOf(xs).Wire()
	if err != nil {
		t.Fatal(err)
	}
	v, err := Parse(w)
	if err != nil {
		t.Fatal(err)
	}
	got := as[[]float64](t, v)
	if !hostLittle {
		t.Log("this machine is big-endian: a copy is right")
	} else if p := unsafe.Pointer(&got[0]); p != unsafe.Pointer(&w[8]) {
		t.Error("a large array that lies aligned was copied")
	}
	if cap(got) != len(got) {
		t.Error("a view must not have spare capacity")
	}
	_, payload, err := MustOf(xs).Payload()
	if err != nil {
		t.Fatal(err)
	}
	if off := uintptr(unsafe.Pointer(&payload[7])) % 8; off != 0 {
		t.Errorf("the numbers of a fresh payload lie %d off", off)
	}
	for shift := range 8 { // wherever it lies, it is right
		moved := append(make([]byte, shift, shift+len(w)), w...)
		v, err := Parse(moved[shift:])
		if err != nil {
			t.Fatal(err)
		}
		if got := as[[]float64](t, v); !reflect.DeepEqual(got, xs) {
			t.Errorf("wrong numbers at shift %d", shift)
		}
		type named []celsius
		if got := as[named](t, v); len(got) != len(xs) || got[7] != 7 {
			t.Errorf("wrong numbers at shift %d", shift)
		}
	}
}

func TestPlainListFitsNumbers(t *testing.T) {
	v, err := FromJSON([]byte(`[1, 2, 300]`))
	if err != nil {
		t.Fatal(err)
	}
	if got := as[[]float64](t, v); !reflect.DeepEqual(got, []float64{1, 2, 300}) {
		t.Error(got)
	}
	if got := as[[]int16](t, v); !reflect.DeepEqual(got, []int16{1, 2, 300}) {
		t.Error(got)
	}
	if _, err := As[[]int8](v); !fault.Is(err, fault.WrongType) {
		t.Errorf("300 as int8: %v", err)
	}
}

func TestMalformedArrays(t *testing.T) {
	for _, b := range [][]byte{
		{0xd8, 86}, {0xd8, 86, 0x01}, {0xd8, 86, 0x48, 1}, {0xd8, 86, 0x47, 1, 2, 3, 4, 5, 6, 7}, {0xd8, 86, 0x40, 0},
		{0xd8, 86, 0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, {0x81, 0xd8, 86, 0x41, 1},
	} {
		v, err := FromPayload(CBOR, b)
		if err != nil {
			t.Fatal(err)
		}
		for _, err := range []error{
			second(As[[]float64](v)), second(As[[]int](v)), second(As[any](v)), second(As[[]any](v)), second(As[[][]float64](v)),
			second(v.Elements()), second(v.JSON()), second(As[[]string](v)),
		} {
			if err != nil && !fault.Is(err, fault.WrongType) {
				t.Errorf("%x: %v", b, err)
			}
		}
		if _, err := v.JSON(); err == nil {
			t.Errorf("%x passed", b)
		}
	}
}

// Swapping is what a big-endian host does on both ways; here it is tested by hand.
func TestSwap(t *testing.T) {
	b := []byte{1, 2, 3, 4, 5, 6, 7, 8}
	swap(b, 4)
	if !bytes.Equal(b, []byte{4, 3, 2, 1, 8, 7, 6, 5}) {
		t.Error(b)
	}
}
