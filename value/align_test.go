package value

import (
	"bytes"
	"reflect"
	"testing"
	"unsafe"
)

// TestAlign: wherever a payload lies, what Align gives has the same bytes, and an array in it is read where it lies.
func TestAlign(t *testing.T) {
	for _, n := range []int{1, 40, 1000, 20_000} { // heads of 3, 5, 5 and 7 bytes
		xs := make([]float64, n)
		xs[n-1] = 7
		_, payload, err := MustOf(xs).Payload()
		if err != nil {
			t.Fatal(err)
		}
		for shift := range 8 {
			moved := append(make([]byte, shift, shift+len(payload)), payload...)[shift:]
			b := Align(CBOR, moved)
			if !bytes.Equal(b, payload) {
				t.Fatalf("%d numbers at shift %d are others", n, shift)
			}
			if again := Align(CBOR, b); unsafe.SliceData(again) != unsafe.SliceData(b) {
				t.Errorf("%d numbers at shift %d still lie crooked", n, shift)
			}
			v, err := FromPayload(CBOR, b)
			if err != nil {
				t.Fatal(err)
			}
			got := as[[]float64](t, v)
			if !reflect.DeepEqual(got, xs) {
				t.Errorf("%d numbers at shift %d: wrong numbers", n, shift)
			}
			if p := unsafe.Pointer(&b[len(b)-8*n]); hostLittle && unsafe.Pointer(&got[0]) != p {
				t.Errorf("%d numbers at shift %d were copied", n, shift)
			}
		}
		if made := MakePayload(len(payload)); n == 20_000 {
			copy(made, payload)
			if b := Align(CBOR, made); unsafe.SliceData(b) != unsafe.SliceData(made) {
				t.Error("a large array lies crooked in what MakePayload gave")
			}
		}
	}
	for _, b := range [][]byte{nil, {0xd8}, {0xd8, 0x56, 0x48, 1, 2}, []byte("text")} {
		if got := Align(CBOR, b); !bytes.Equal(got, b) || len(b) > 0 && unsafe.SliceData(got) != unsafe.SliceData(b) {
			t.Errorf("%x became %x", b, got)
		}
	}
	if b := []byte("text"); unsafe.SliceData(Align(Text, b)) != unsafe.SliceData(b) {
		t.Error("text was moved")
	}
}
