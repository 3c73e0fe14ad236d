package value

import (
	"bytes"
	"encoding/hex"
	"runtime"
	"strings"
	"testing"
)

// A length that lies must cost nothing, and nesting must end.
func TestHostilePayloads(t *testing.T) {
	big := []string{"9a7fffffff", "9b7fffffffffffffff", "9bffffffffffffffff", "ba7fffffff", "bbffffffffffffffff", "5b7fffffffffffffff", "7bffffffffffffffff"}
	var all []string
	for _, b := range big {
		all = append(all, b, b+"00", b+strings.Repeat("00", 100), "81"+b, "a1"+b, "a16161"+b, "d856"+b, "d84081"+b, "c1"+b, "c2"+b, strings.Repeat("81", 60)+b,
			strings.Repeat(b+"00", 50))
	}
	for _, open := range []string{"81", "a100", "a16161", "d856", "c6", "9f", "bf", "5f", "d9d9f7", "da0053514c"} {
		all = append(all, strings.Repeat(open, 1000), strings.Repeat(open, 100000)+"00")
	}
	for _, s := range all {
		b, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		v, err := FromPayload(CBOR, b)
		if err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		worked := tryAll(v)
		runtime.ReadMemStats(&after)
		if worked > 2 { // Wire and Measure only copy
			t.Errorf("%.60s… was decoded %d times", s, worked)
		}
		// A share of the input for every attempt, and what errors and first uses of types cost.
		if used := after.TotalAlloc - before.TotalAlloc; used > 4<<20+100*uint64(len(b)) {
			t.Errorf("%.60s…: %d bytes of payload made %d bytes of garbage", s, len(b), used)
		}
	}
}

// Whatever part of a good payload arrives, it is refused or read, and never read beyond.
func TestTruncated(t *testing.T) {
	for _, x := range []any{
		path{Points: []point{{1, 2, "l"}}, Raw: []float64{1}, Any: map[string]any{"a": 1}}, holder{V: MustOf([]float64{1}), Vs: []Value{MustOf("a")}},
		[]float64{1, 2}, []string{"a", "b"}, map[string]any{"a": Ref("k")}, 1 << 40, 1.1,
	} {
		_, b, err := MustOf(x).Payload()
		if err != nil {
			t.Fatal(err)
		}
		for n := range b {
			v, err := FromPayload(CBOR, bytes.Clone(b[:n]))
			if err != nil {
				t.Fatal(err)
			}
			if worked := tryAll(v); worked > 2 {
				t.Errorf("%T cut to %d of %d bytes was decoded", x, n, len(b))
			}
			if v, err = FromPayload(CBOR, append(bytes.Clone(b), 0)); err != nil {
				t.Fatal(err)
			}
			if worked := tryAll(v); worked > 2 {
				t.Errorf("%T with a byte too many was decoded", x)
			}
		}
	}
}
