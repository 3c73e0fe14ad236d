//go:build squalldebug

package value

import (
	"fmt"
	"hash/maphash"
	"reflect"
)

// seal is a hash of the encoding that a value had when it was made. Values are immutable by contract only, and who
// breaks it changes what other functions, caches and other nodes see; a debug build finds out who got it first.
type seal struct {
	sum uint64
	set bool
}

var sealSeed = maphash.MakeSeed()

func (v Value) sealed() Value {
	if sum, ok := v.sum(); ok {
		v.seal = seal{sum, true}
	}
	return v
}

// verify panics if v was written to since it was made.
func (v Value) verify() {
	if !v.seal.set {
		return
	}
	if sum, ok := v.sum(); !ok || sum != v.seal.sum {
		panic(fmt.Sprintf("value: a %s was written to after it had become a Value: copy it before you change it", describe(v)))
	}
}

// sum hashes the payload and, where there is one, the encoding of the live value. A value whose encoding fails is
// not checked: its encoder reports that where it matters.
func (v Value) sum() (uint64, bool) {
	var h maphash.Hash
	h.SetSeed(sealSeed)
	if v.live == nil {
		h.Write(v.data)
		return h.Sum64(), true
	}
	if k := reflect.TypeOf(v.live).Kind(); k != reflect.Slice && k != reflect.Map && k != reflect.Pointer && k != reflect.Struct && k != reflect.Array {
		return 0, false
	}
	b, err := appendLive(nil, v.live)
	h.Write(b)
	return h.Sum64(), err == nil
}
