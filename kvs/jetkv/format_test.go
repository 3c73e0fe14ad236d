package jetkv

import (
	"bytes"
	"encoding/hex"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs"
)

var update = flag.Bool("update", false, "write the golden files of the current version anew")

// goldens are records as version 1 writes them. What is released is never changed, only added to.
func goldens() map[string]*record {
	return map[string]*record{
		"v1_inline":    {typ: typeValue, header: header{Kind: 1, Size: 5, Write: 0x0123456789abcdef}, payload: []byte("hello")},
		"v1_null":      {typ: typeValue, header: header{Write: 7}, payload: []byte{}},
		"v1_ttl":       {typ: typeValue, header: header{Kind: 2, Size: 2, Write: 8, TTL: 3600}, payload: []byte("hi")},
		"v1_hashed":    {typ: typeValue, header: header{Key: bytes.Repeat([]byte{0}, 200), Kind: 3, Size: 1, Write: 9}, payload: []byte{1}},
		"v1_chunked":   {typ: typeValue, header: header{Kind: 1, Size: 1_048_577, Part: 524_288, Write: 10, Sums: []uint64{1, 1 << 40, 1<<64 - 1}}, payload: []byte{}},
		"v1_tombstone": {typ: typeTombstone, header: header{Write: 11}, payload: []byte{}},
		"v1_meta":      {typ: typeValue, header: header{Kind: 1, Size: 2, Write: 12, Meta: []byte("meta")}, payload: []byte("hi")},
		"v1_buried":    {typ: typeTombstone, header: header{Write: 13, Meta: []byte("why")}, payload: []byte{}},
	}
}

func TestGoldenRecords(t *testing.T) {
	for name, want := range goldens() {
		path := filepath.Join("testdata", "records", name+".hex")
		encoded, err := want.encode()
		if err != nil {
			t.Fatal(err)
		}
		if *update {
			if err := os.WriteFile(path, []byte(hex.EncodeToString(encoded)+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		golden, err := hex.DecodeString(strings.TrimSpace(string(text)))
		if err != nil {
			t.Fatal(err)
		}
		got, err := decodeRecord(golden)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: read %+v, %v; want %+v", name, got, err, want)
		}
		if !bytes.Equal(encoded, golden) {
			t.Errorf("%s: written %x, was %x: stores that exist hold the latter", name, encoded, golden)
		}
	}
	if b, err := hex.DecodeString("0103" + hex.EncodeToString([]byte("part"))); err != nil || !bytes.Equal(appendChunk(nil, []byte("part")), b) {
		t.Errorf("a chunk is written otherwise: %x", appendChunk(nil, []byte("part")))
	}
	if !bytes.Equal(encodeMark(), []byte{1, 4}) {
		t.Errorf("a mark is written otherwise: %x", encodeMark())
	}
	if w := encodeWitness(0x0123456789abcdef); hex.EncodeToString(w) != "01040123456789abcdef" || !isWitness(w, 0x0123456789abcdef) || isWitness(w, 1) || isWitness(encodeMark(), 0) {
		t.Errorf("a witness is written otherwise: %x", w)
	}
}

// A later release of the same version may add fields.
func TestUnknownHeaderFieldsAreSkipped(t *testing.T) {
	r, err := decodeRecord([]byte("\x01\x01\xa4\x02\x01\x03\x01\x05\x07\x18\x63\x61xA"))
	if err != nil || string(r.payload) != "A" || r.Write != 7 {
		t.Fatalf("%+v, %v", r, err)
	}
}

// Slots and subjects are for ever: a key that moved would be lost.
func TestPlacesAreForEver(t *testing.T) {
	for _, c := range []struct {
		ns      string
		space   Space
		key     kvs.Key
		subject string
	}{
		{"default", User, "a", "squall.default.kv.4.42.a"},
		{"default", System, "a", "squall.default.sys.4.42.a"},
		{"other", User, "a", "squall.other.kv.3.b9.a"},
		{"default", User, "user:{a}:name", "squall.default.kv.4.42.user:{a}:name"},
		{"default", User, "x{}a", "squall.default.kv.2.d7.x{}a"},
		{"default", User, "a.b *>\x00~%é", "squall.default.kv.8.92.a%2Eb%20%2A%3E%00%7E%25%C3%A9"},
		{"default", User, kvs.Key(strings.Repeat(".", 171)), "squall.default.kv.4.85.~d3d09f397072c03e14cfe49e8ac76fda27ee3762a2e9a621dc05c4c165eafd79"},
	} {
		if p := locate(c.ns, c.space, c.key); p.subject != c.subject {
			t.Errorf("%s %s %.20q: %s, want %s", c.ns, c.space, c.key, p.subject, c.subject)
		}
	}
}

func FuzzRecord(f *testing.F) {
	for _, r := range goldens() {
		b, err := r.encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte("\x01\x01\xbf\xff"))
	f.Add([]byte("\x02\x01\xa0"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := decodeRecord(b)
		if err != nil {
			if !fault.Is(err, fault.Unsupported) && !isCorrupt(err) {
				t.Fatalf("%x: %v", b, err)
			}
			return
		}
		if r.Size > kvs.MaxValue || r.Part == 0 && r.typ == typeValue && uint64(len(r.payload)) != r.Size {
			t.Fatalf("%x: accepted with %d bytes of %d", b, len(r.payload), r.Size)
		}
		for n := range r.Sums {
			if from, to := r.chunk(n); r.typ == typeValue && r.Part != 0 && (from >= to || to > r.Size) {
				t.Fatalf("%x: chunk %d is %d to %d of %d", b, n, from, to, r.Size)
			}
		}
		again, err := r.encode()
		if err != nil {
			t.Fatal(err)
		}
		r2, err := decodeRecord(again)
		if err != nil {
			t.Fatalf("%x: written again as %x: %v", b, again, err)
		}
		if third, err := r2.encode(); err != nil || !bytes.Equal(third, again) {
			t.Fatalf("%x: %x is written again as %x, %v", b, again, third, err)
		}
	})
}

func FuzzKey(f *testing.F) {
	for _, key := range []string{"a", "", "a.b", "~", "%41", "\x00\xff", "{tag}x", strings.Repeat("k", 512), strings.Repeat(".", 512)} {
		f.Add(key)
	}
	f.Fuzz(func(t *testing.T, s string) {
		key := kvs.Key(s)
		if key.Check() != nil {
			return
		}
		p := locate("ns", User, key)
		if strings.ContainsAny(p.token, ".*> \t\r\n\x00") || p.token == "" || len(p.token) > maxToken || p.slot >= slots {
			t.Fatalf("%q: token %q in slot %d", s, p.token, p.slot)
		}
		back, hashed, ok := decodeToken(p.token)
		if !ok || hashed != p.hashed || !hashed && back != key {
			t.Fatalf("%q: token %q reads %q, %v", s, p.token, back, ok)
		}
		q, mark, ok := parsePlace(strings.TrimPrefix(p.subject, "squall.ns.kv.") + markTimed)
		if !ok || mark != markTimed || q.slot != p.slot || q.token != p.token || q.hashed != p.hashed {
			t.Fatalf("%q: %q reads %+v, %q, %v", s, p.subject, q, mark, ok)
		}
		if slot, after, err := parseCursor(makeCursor(p.position())); err != nil || slot != p.slot || after != p.position() {
			t.Fatalf("%q: its cursor reads %d %q, %v", s, slot, after, err)
		}
	})
}

// What comes from outside as a cursor or a subject is read or refused, and what is read is written the same again.
func FuzzPlace(f *testing.F) {
	for _, s := range []string{"0.00.a", "f.ff.%2E", "0.00.", "g.00.a", "0.0.a", "0.00.~00", "0.00.a.d", "0.00.a.0123456789abcdef.7", "A.00.a"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, mark, ok := parsePlace(s)
		if ok && string(p.position())+mark != s {
			t.Fatalf("%q reads %+v and %q", s, p, mark)
		}
		if key, hashed, ok := decodeToken(s); ok && !hashed {
			if token, _ := encodeKey(key); token != s {
				t.Fatalf("token %q reads %q, which is written %q", s, key, token)
			}
		}
		_, _, err := parseCursor(s)
		if err != nil && !fault.Is(err, fault.InvalidArgument) {
			t.Fatalf("cursor %q: %v", s, err)
		}
		store := &Store{cfg: Config{Namespace: "ns", Space: User}}
		if g, ok := store.parseChunk(s); ok && store.chunkSubject(g.place, g.id, 0) == "" {
			t.Fatal("unreachable")
		}
	})
}
