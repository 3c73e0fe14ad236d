package profile

import (
	"bytes"
	"encoding/hex"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"
	"pgregory.net/rapid"

	"github.com/squall-faas/squall/fault"
)

func goldenBook() *Book {
	var b Book
	f := b.Function("app/count@1f")
	for i := range int64(6) {
		f.Observe(Run{At: 1000 + i, In: 1 << (10 + i), Out: 24, Took: time.Duration(1+i) * time.Millisecond})
	}
	f.ObserveCold(ColdStart{At: 999, Took: 80 * time.Millisecond})
	b.Link(Pair{"a", "b"}).Observe(Transfer{At: 1001, Bytes: 1 << 20, Took: 10 * time.Millisecond})
	b.Link(Pair{"a", "store"}).Observe(Transfer{At: 1002, Bytes: 10, Took: time.Millisecond})
	return &b
}

// TestGolden holds the encoding against the bytes of version 1, which every later release must still read and write.
func TestGolden(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("testdata", "golden", "book-v1.hex"))
	if err != nil {
		t.Fatal(err)
	}
	want, err := hex.DecodeString(strings.Join(strings.Fields(string(text)), ""))
	if err != nil {
		t.Fatal(err)
	}
	if got := goldenBook().Encode(); !bytes.Equal(got, want) {
		t.Errorf("encoded as\n%x\nwant\n%x", got, want)
	}
	b, err := Decode(want)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := b.Known("app/count@1f").Predict(5000), goldenBook().Known("app/count@1f").Predict(5000); got != want {
		t.Errorf("predicts %+v, want %+v", got, want)
	}
}

func TestDecodeRefuses(t *testing.T) {
	good := goldenBook().Encode()
	body := func(x any) []byte {
		b, err := cbor.Marshal(x)
		if err != nil {
			t.Fatal(err)
		}
		return append([]byte{encodingVersion, encodingBook}, b...)
	}
	function := func(f functionForm) []byte { return body(bookForm{Functions: []functionForm{f}}) }
	for _, c := range []struct {
		name string
		b    []byte
		code fault.Code
		want string
	}{
		{"nothing", nil, fault.InvalidArgument, "cut off"},
		{"a later version", append([]byte{2}, good[1:]...), fault.Unsupported, "encoding version 2"},
		{"another type", append([]byte{1, 'G'}, good[2:]...), fault.InvalidArgument, "type 71"},
		{"truncated", good[:len(good)-1], fault.InvalidArgument, "do not decode"},
		{"trailing", append(bytes.Clone(good), 0), fault.InvalidArgument, "do not decode"},
		{"a negative size", function(functionForm{Runs: []Run{{In: -1}}}), fault.InvalidArgument, "negative"},
		{"a negative cold start", function(functionForm{Cold: []ColdStart{{Took: -1}}}), fault.InvalidArgument, "negative"},
		{"too many runs", function(functionForm{Runs: make([]Run, MaxRuns+1)}), fault.InvalidArgument, "over its bounds"},
		{"not a count", function(functionForm{Slow: []countForm{{0, math.NaN()}}}), fault.InvalidArgument, "counts"},
		{"a bucket beyond", function(functionForm{Slow: []countForm{{1 << 30, 1}}}), fault.InvalidArgument, "counts"},
		{"no time", body(bookForm{Links: []linkForm{{Transfers: []Transfer{{Bytes: 1}}}}}), fault.InvalidArgument, "negative"},
		{"too many transfers", body(bookForm{Links: []linkForm{{Transfers: make([]Transfer, MaxTransfers+1)}}}), fault.InvalidArgument, "over its bounds"},
	} {
		if b, err := Decode(c.b); b != nil || !fault.Is(err, c.code) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s: …%s…", c.name, err, c.code, c.want)
		}
	}
}

func TestDecodeIgnoresFieldsOfLaterReleases(t *testing.T) {
	var fields map[int]any
	good := goldenBook().Encode()
	if err := cbor.Unmarshal(good[2:], &fields); err != nil {
		t.Fatal(err)
	}
	fields[99] = []any{"new"}
	later, err := cbor.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	b, err := Decode(append(good[:2:2], later...))
	if err != nil || !bytes.Equal(b.Encode(), good) {
		t.Errorf("%v", err)
	}
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := draw(t)
		c := clone(t, b)
		if !bytes.Equal(b.Encode(), c.Encode()) {
			t.Fatal("encoded again it differs")
		}
		for _, v := range b.Versions() {
			for _, q := range []float64{0.5, 0.95} {
				got, ok := c.Known(v).Slow(1000, q)
				if want, had := b.Known(v).Slow(1000, q); got != want || ok != had {
					t.Fatalf("quantile %g: %v, before %v", q, got, want)
				}
			}
		}
	})
}

// FuzzDecode: whatever comes, Decode does not panic, and what it takes predicts finite figures and comes back.
func FuzzDecode(f *testing.F) {
	f.Add(goldenBook().Encode(), int64(1<<20))
	f.Add((&Book{}).Encode(), int64(0))
	f.Fuzz(func(t *testing.T, in []byte, size int64) {
		b, err := Decode(in)
		if err != nil {
			return
		}
		for _, v := range b.Versions() {
			p := b.Known(v).Predict(size)
			for _, e := range []Estimate{p.Out, p.Took, p.Cold} {
				if !(e.Low >= 0 && e.Low <= e.Value && e.Value <= e.High) || math.IsInf(e.Value, 0) {
					t.Fatalf("%q predicts %+v", v, e)
				}
			}
			b.Known(v).Slow(size, 0.95)
		}
		for _, p := range b.Links() {
			e := b.Link(p).Estimate()
			for _, e := range []Estimate{e.Bandwidth, e.Latency} {
				if !(e.Low >= 0 && e.Low <= e.Value && e.Value <= e.High) || math.IsInf(e.Value, 0) {
					t.Fatalf("%v is %+v", p, e)
				}
			}
		}
		again, err := Decode(b.Encode())
		if err != nil || !bytes.Equal(again.Encode(), b.Encode()) {
			t.Fatalf("does not come back: %v", err)
		}
	})
}
