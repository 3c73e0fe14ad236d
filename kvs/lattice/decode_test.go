package lattice

import (
	"bytes"
	"encoding/hex"
	"runtime"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/squall-faas/squall/fault"
)

// The bytes are stored: they do not change.
func TestGoldenBytes(t *testing.T) {
	for _, tc := range []struct {
		words string // ops of actors 1, 2, …, each at its own time
		want  string
	}{
		{"assign x", "01 83 01 01 42 02 78"},
		{"assign-multi 1", "02 82 a1 01 01 81 85 01 01 01 01 42 03 01"},
		{"add 3/add -1", "03 82 83 01 03 00 83 02 00 01"},
		{"grow y/grow x", "04 82 42 02 78 42 02 79"},
		{"insert x/insert y/remove x", "05 82 a2 01 01 02 01 81 82 42 02 79 82 02 01"},
		{"field a add 1/field b max t", "06 82 a2 01 01 02 01 82 84 61 61 03 82 01 01 81 83 01 01 81 83 01 01 00 84 61 62 18 47 82 02 01 81 83 02 01 42 02 74"},
		{"max 300", "07 44 03 19 01 2c"},
		{"min 0.5", "08 44 03 f9 38 00"},
	} {
		var s State
		for i, words := range strings.Split(tc.words, "/") {
			s = apply(t, s, uint64(i+1), strings.Fields(words)...)
		}
		b, err := s.Append(nil)
		if got := hex.EncodeToString(b); err != nil || got != strings.ReplaceAll(tc.want, " ", "") {
			t.Errorf("%s: %s, %v; want %s", tc.words, got, err, tc.want)
		}
	}
	head, err := apply(t, nil, 1, "assign-multi", "1").(MultiValue).AppendHead(nil)
	if got := hex.EncodeToString(head); err != nil || got != "8282a101018184"+"01010101" {
		t.Errorf("head: %s, %v", got, err)
	}
	op, err := ParseOp("field", "a", "add", "3")
	if err != nil {
		t.Fatal(err)
	}
	b, err := AppendOp(nil, op)
	if got := hex.EncodeToString(b); err != nil || got != "83066161"+"8202420303" {
		t.Errorf("op: %s, %v", got, err)
	}
}

// A part of the bytes is no state, nor is anything that has been added; a changed byte gives another state, or none.
func TestDecodeIsStrict(t *testing.T) {
	forEachType(t, func(t *rapid.T, w *world) {
		if len(w.past) == 0 {
			return
		}
		b := []byte(w.drawPast(t, "state").bytes)
		for i := range b {
			if s, err := Decode(b[:i:i]); err == nil {
				t.Fatalf("%x cut to %d bytes is read as %s", b, i, read(s))
			}
		}
		if _, err := Decode(append(bytes.Clone(b), 0)); !fault.Is(err, fault.InvalidArgument) {
			t.Fatalf("a byte more: %v", err)
		}
		at := rapid.IntRange(0, len(b)-1).Draw(t, "position")
		changed := bytes.Clone(b)
		changed[at] ^= byte(rapid.IntRange(1, 255).Draw(t, "change"))
		if s, err := Decode(bytes.Clone(changed)); err == nil && !bytes.Equal(encoded(t, s), changed) {
			t.Fatalf("%x is read, and written as %x", changed, encoded(t, s))
		}
	})
}

func TestDecodeRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		hex  string
		code fault.Code
	}{
		"nothing":                      {"", fault.InvalidArgument},
		"type 0":                       {"00", fault.Unsupported},
		"a later type":                 {"09 80", fault.Unsupported},
		"a value of a later kind":      {"01 83 01 01 42 09 78", fault.Unsupported},
		"a long form":                  {"01 83 18 01 01 42 02 78", fault.InvalidArgument},
		"an indefinite length":         {"04 9f 42 02 78 ff", fault.InvalidArgument},
		"text for bytes":               {"01 83 01 01 62 02 78", fault.InvalidArgument},
		"no value":                     {"01 83 01 01 40", fault.InvalidArgument},
		"bytes after null":             {"01 83 01 01 42 00 78", fault.InvalidArgument},
		"text as CBOR":                 {"01 83 01 01 43 03 61 78", fault.InvalidArgument},
		"a tuple of two":               {"01 82 01 01", fault.InvalidArgument},
		"a counter that counts none":   {"03 81 83 01 00 00", fault.InvalidArgument},
		"actors out of order":          {"03 82 83 02 01 00 83 01 01 00", fault.InvalidArgument},
		"an actor twice":               {"03 82 83 01 01 00 83 01 02 00", fault.InvalidArgument},
		"elements out of order":        {"04 82 42 02 79 42 02 78", fault.InvalidArgument},
		"an element twice":             {"04 82 42 02 78 42 02 78", fault.InvalidArgument},
		"a clock with a zero":          {"05 82 a1 01 00 80", fault.InvalidArgument},
		"a clock out of order":         {"05 82 a2 02 01 01 01 80", fault.InvalidArgument},
		"a clock beyond all":           {"05 82 a1 01 1b 40 00 00 00 00 00 00 01 80", fault.InvalidArgument},
		"an element without dots":      {"05 82 a1 01 01 81 82 42 02 78 80", fault.InvalidArgument},
		"half a dot":                   {"05 82 a1 01 01 81 82 42 02 78 81 01", fault.InvalidArgument},
		"a dot the clock has not seen": {"05 82 a1 01 01 81 82 42 02 78 82 01 02", fault.InvalidArgument},
		"a sibling not covered":        {"02 82 a0 81 85 01 01 01 01 42 03 01", fault.InvalidArgument},
		"a field without presence":     {"06 82 a1 01 01 81 84 61 61 05 80 80", fault.InvalidArgument},
		"a field without a name":       {"06 82 a1 01 01 81 84 60 05 82 01 01 80", fault.InvalidArgument},
		"a field that is not UTF-8":    {"06 82 a1 01 01 81 84 61 ff 05 82 01 01 80", fault.InvalidArgument},
		"a field of no type":           {"06 82 a1 01 01 81 84 61 61 09 82 01 01 80", fault.InvalidArgument},
		"a set of text":                {"06 82 a1 01 01 81 84 61 61 18 45 82 01 01 80", fault.InvalidArgument},
		"a max of text over a number":  {"06 82 a1 01 01 81 84 61 61 18 47 82 01 01 81 83 01 01 42 03 01", fault.InvalidArgument},
		"a max of nothing in a field":  {"06 82 a1 01 01 81 84 61 61 07 82 01 01 81 83 01 01 41 00", fault.InvalidArgument},
		"counting for another actor":   {"06 82 a1 01 01 81 84 61 61 03 82 01 01 81 83 01 01 81 83 02 01 00", fault.InvalidArgument},
		"a max of bytes":               {"07 42 01 01", fault.InvalidArgument},
		"a max of NaN":                 {"07 44 03 f9 7e 00", fault.InvalidArgument},
		"maps too deep":                {"06 82 a1 01 01 " + strings.Repeat("81 84 61 61 06 82 01 01 ", maxDepth) + "80", fault.InvalidArgument},
	} {
		b, err := hex.DecodeString(strings.ReplaceAll(tc.hex, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		if s, err := Decode(b); s != nil || !fault.Is(err, tc.code) {
			t.Errorf("%s: %v, %v", name, s, err)
		}
	}
	for _, b := range [][]byte{nil, {2}, {headType}, {headType, 0x82, 0xa0, 0x80, 0}} {
		if _, err := DecodeHead(b); !fault.Is(err, fault.InvalidArgument) {
			t.Errorf("head %x: %v", b, err)
		}
	}
	for _, b := range []string{"", "82", "8200420301", "820b420301", "83024203010102", "8206" + "6161", "8302420301", "820242030180", "82024202" + "78"} {
		raw, err := hex.DecodeString(b)
		if err != nil {
			t.Fatal(err)
		}
		if op, err := DecodeOp(raw); err == nil {
			t.Errorf("op %s is read as %s", b, show(op))
		}
	}
}

// A length that lies costs nothing, and nesting ends.
func TestHostileLengths(t *testing.T) {
	var all []string
	for _, n := range []string{"1a7fffffff", "1b7fffffffffffffff", "1bffffffffffffffff"} {
		major := func(m int) string { // the head of that major type with the length n
			b, err := hex.DecodeString(n)
			if err != nil {
				t.Fatal(err)
			}
			b[0] |= byte(m << 5)
			return hex.EncodeToString(b)
		}
		for _, after := range []string{"", strings.Repeat("00", 1000), strings.Repeat("81", 1000)} {
			all = append(all, "01830101"+major(majorBytes)+after, "02"+"82"+major(majorMap)+after, "0282a0"+major(majorList)+after,
				"03"+major(majorList)+after, "04"+major(majorList)+after, "05"+"82"+"a0"+major(majorList)+after,
				"0582a1010181"+"82420278"+major(majorList)+after, "0682a0"+major(majorList)+after, "0682a1010181846161"+"05"+"820101"+major(majorList)+after)
		}
	}
	all = append(all, "0682a10101"+strings.Repeat("8184616106820101", 100_000))
	for _, s := range all {
		b, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if s, err := Decode(b); err == nil {
			t.Errorf("%.40x… is read as %s", b, read(s))
		}
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > 1<<16+64*uint64(len(b)) {
			t.Errorf("%.40x…: %d bytes made %d bytes of garbage", b, len(b), used)
		}
	}
	op, err := hex.DecodeString(strings.Repeat("83066161", 100_000))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := DecodeOp(op); !fault.Is(err, fault.InvalidArgument) {
		t.Errorf("an op without end: %v", err)
	}
}
