package wire_test

import (
	"bytes"
	"encoding/hex"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/wire"
)

var update = flag.Bool("update", false, "write golden bytes that are not there yet; those that are there never change")

const golden = "testdata/golden"

// goldenBytes reads the messages that releases of protocol version 1 have written, by the name of their type and a
// number.
func goldenBytes(t testing.TB) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob(golden + "/v1/*.hex")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden bytes: %v", err)
	}
	out := map[string][]byte{}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		b, err := hex.DecodeString(strings.Join(strings.Fields(string(text)), ""))
		if err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		out[strings.TrimSuffix(filepath.Base(f), ".hex")] = b
	}
	return out
}

// TestGolden holds today's code to the bytes of the first release: it reads them, and writes the same.
func TestGolden(t *testing.T) {
	for _, m := range messages() {
		name := reflect.TypeOf(m).Elem().Name()
		seed := 0
		fill(reflect.ValueOf(m).Elem(), &seed)
		b, err := wire.Encode(m)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(golden, "v1", name+".hex")
		if _, err := os.Stat(path); *update && os.IsNotExist(err) {
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, lines(b), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	stored := goldenBytes(t)
	for _, m := range messages() {
		name := reflect.TypeOf(m).Elem().Name()
		want, ok := stored[name]
		if !ok {
			t.Errorf("no golden bytes of %s: run go test -update", name)
			continue
		}
		back := reflect.New(reflect.TypeOf(m).Elem()).Interface().(wire.Message)
		if err := wire.Decode(want, back); err != nil {
			t.Errorf("%s of the first release: %v", name, err)
			continue
		}
		seed := 0
		fill(reflect.ValueOf(m).Elem(), &seed)
		b := wire.MustEncode(m)
		if !bytes.Equal(b, want) {
			t.Errorf("%s is written as\n%s and was written as\n%s a field that was added changes what stays here: keep the old file under another number and add it to TestGoldenOld",
				name, lines(b), lines(want))
		}
		if !reflect.DeepEqual(back, m) {
			t.Errorf("%s is read as %+v, want %+v", name, back, m)
		}
	}
}

// TestGoldenOld reads what earlier releases wrote, before fields were added: the new ones are left out when it is written
// again.
func TestGoldenOld(t *testing.T) {
	files, err := filepath.Glob(golden + "/v1/old/*.hex")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden bytes of earlier releases: %v", err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		b, err := hex.DecodeString(strings.Join(strings.Fields(string(text)), ""))
		if err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		m := messages()[wire.Type(b[1])]
		if err := wire.Decode(b, m); err != nil {
			t.Errorf("%s: %v", f, err)
		} else if again := wire.MustEncode(m); !bytes.Equal(again, b) {
			t.Errorf("%s is written again as\n%s", f, lines(again))
		}
	}
}

func lines(b []byte) []byte {
	var out bytes.Buffer
	for len(b) > 0 {
		n := min(len(b), 40)
		fmt.Fprintf(&out, "%x\n", b[:n])
		b = b[n:]
	}
	return out.Bytes()
}

// TestUnknownKeys are ignored, at the top and inside: that is how a field is added.
func TestUnknownKeys(t *testing.T) {
	for name, b := range goldenBytes(t) {
		var body map[uint64]any
		if err := cbor.Unmarshal(b[2:], &body); err != nil {
			t.Fatal(err)
		}
		var add func(any)
		add = func(x any) {
			switch x := x.(type) {
			case map[uint64]any:
				for _, y := range x {
					add(y)
				}
				x[99] = "of a later release"
			case map[any]any:
				for _, y := range x {
					add(y)
				}
				x[uint64(99)] = []any{"of a later release"}
			case []any:
				for _, y := range x {
					add(y)
				}
			}
		}
		add(body)
		later, err := cbor.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		later = append([]byte{b[0], b[1]}, later...)
		want, got := messages()[wire.Type(b[1])], messages()[wire.Type(b[1])]
		if err := wire.Decode(b, want); err != nil {
			t.Fatal(err)
		}
		if err := wire.Decode(later, got); err != nil {
			t.Errorf("%s with unknown keys: %v", name, err)
		} else if !reflect.DeepEqual(got, want) {
			t.Errorf("%s with unknown keys is read as %+v, want %+v", name, got, want)
		}
	}
}

func TestRefuses(t *testing.T) {
	ping := wire.MustEncode(&wire.Ping{From: wire.Peer{Name: "a", Incarnation: 1}})
	with := func(at int, b byte) []byte {
		out := bytes.Clone(ping)
		out[at] = b
		return out
	}
	for _, tc := range []struct {
		name string
		b    []byte
		says string
	}{
		{"nothing", nil, "0 bytes"},
		{"one byte", []byte{1}, "1 bytes"},
		{"a later version", with(0, 2), "protocol version 2: this node speaks version 1"},
		{"no version", with(0, 0), "protocol version 0"},
		{"another type", with(1, byte(wire.TypeAck)), "type 2 where type 26 was expected"},
		{"no body", ping[:2], "does not decode"},
		{"half a body", ping[:len(ping)-1], "does not decode"},
		{"more than a body", append(bytes.Clone(ping), 0), "does not decode"},
		{"another shape", []byte{1, byte(wire.TypePing), 0x83, 1, 2, 3}, "does not decode"},
	} {
		err := wire.Decode(tc.b, &wire.Ping{})
		if !fault.Is(err, fault.Unsupported) || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v, want %q", tc.name, err, tc.says)
		}
	}
}

// FuzzDecode feeds every decoder: it never panics, and what it accepts it writes and reads again as the same.
func FuzzDecode(f *testing.F) {
	for _, b := range goldenBytes(f) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		number, err := wire.Peek(b)
		if err != nil {
			return
		}
		m := messages()[number]
		if m == nil {
			return
		}
		if err := wire.Decode(b, m); err != nil {
			if !fault.Is(err, fault.Unsupported) {
				t.Fatalf("refused as %v", err)
			}
			return
		}
		again, err := wire.Encode(m)
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		back := messages()[number]
		if err := wire.Decode(again, back); err != nil {
			t.Fatalf("what was written cannot be read: %v", err)
		}
		if b1, b2 := again, wire.MustEncode(back); !bytes.Equal(b1, b2) {
			t.Fatalf("written as %x and then as %x", b1, b2)
		}
	})
}

const manual = "../../docs/formats/wire.md"

// TestManual holds docs/formats/wire.md to the code: each message and record with its number and its fields, and each
// subject.
func TestManual(t *testing.T) {
	b, err := os.ReadFile(manual)
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	parts := map[string]reflect.Type{}
	for name, number := range constants(t) {
		typ := reflect.TypeOf(messages()[number]).Elem()
		row := fmt.Sprintf("| %d | %s | %s |", number, strings.TrimPrefix(name, "Type"), fields(typ, parts))
		if !strings.Contains(text, row) {
			t.Errorf("no row %s", row)
		}
	}
	for done := 0; done < len(parts); { // parts have parts
		done = len(parts)
		for _, typ := range maps.Clone(parts) {
			fields(typ, parts)
		}
	}
	for name, typ := range parts {
		if row := fmt.Sprintf("| %s | %s |", name, fields(typ, parts)); !strings.Contains(text, row) {
			t.Errorf("no row %s", row)
		}
	}
	source, err := os.ReadFile("subject.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^//\t(squall\.\S+)`).FindAllStringSubmatch(string(source), -1) {
		if !strings.Contains(text, "`"+m[1]+"`") {
			t.Errorf("subject %s is not in the manual", m[1])
		}
	}
}

// fields lists a struct's fields as the manual does, and notes the structs inside.
func fields(typ reflect.Type, parts map[string]reflect.Type) string {
	var out []string
	for i := range typ.NumField() {
		f := typ.Field(i)
		if !f.IsExported() {
			continue
		}
		key, rest, _ := strings.Cut(f.Tag.Get("cbor"), ",")
		text := key + " " + f.Name
		if strings.Contains(rest, "omitempty") {
			text += "?"
		}
		inner := f.Type
		for inner.Kind() == reflect.Pointer || inner.Kind() == reflect.Slice {
			inner = inner.Elem()
		}
		list := f.Type.Kind() == reflect.Slice && inner.Kind() != reflect.Uint8
		if inner.Kind() == reflect.Struct {
			name := strings.TrimPrefix(inner.String(), "wire.")
			if _, whole := reflect.New(inner).Interface().(wire.Message); !whole {
				parts[name] = inner
			}
			text += ": " + name
		}
		if list {
			text += "…"
		}
		out = append(out, text)
	}
	return strings.Join(out, ", ")
}
