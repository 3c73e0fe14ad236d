package xfer

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/squall-faas/squall/fault"
)

func TestRequestRoundTrip(t *testing.T) {
	token := rapid.StringOfN(rapid.Rune(), 1, -1, MaxToken)
	rapid.Check(t, func(t *rapid.T) {
		want := request{
			ref:        Ref{Key: token.Draw(t, "key"), Version: rapid.StringOfN(rapid.Rune(), 0, -1, MaxToken).Draw(t, "version")},
			capability: rapid.SliceOfN(rapid.Byte(), 1, 255).Draw(t, "capability"),
			offset:     rapid.Int64Range(0, 1<<62).Draw(t, "offset"),
			length:     rapid.IntRange(0, MaxRange).Draw(t, "length"),
		}
		b := want.append(nil)
		n, err := requestBody(b[:requestHead])
		if err != nil || n != len(b)-requestHead {
			t.Fatal(n, err)
		}
		got, err := parseRequest(b[requestHead:])
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%+v, %v, want %+v", got, err, want)
		}
		for i := requestHead; i < len(b); i++ {
			if _, err := parseRequest(b[requestHead:i]); err == nil {
				t.Fatalf("%d of %d bytes are taken for a request", i, len(b))
			}
		}
		if _, err := parseRequest(append(b[requestHead:], 0)); err == nil {
			t.Fatal("a byte too many is ignored")
		}
	})
}

func TestRequestLimits(t *testing.T) {
	long := strings.Repeat("x", MaxToken+1)
	for _, tc := range []struct {
		r    request
		code fault.Code
	}{
		{request{ref: ref("v"), length: MaxRange}, ""},
		{request{ref: ref(long[1:])}, ""},
		{request{ref: ref("v"), length: MaxRange + 1}, fault.TooLarge},
		{request{ref: ref("v"), offset: -1}, fault.InvalidArgument},
		{request{ref: ref("")}, fault.InvalidArgument},
		{request{ref: ref(long)}, fault.InvalidArgument},
		{request{ref: Ref{Key: "v", Version: long}}, fault.InvalidArgument},
	} {
		if _, err := parseRequest(tc.r.append(nil)[requestHead:]); fault.CodeOf(err) != tc.code {
			t.Errorf("%.80v: %v, want %q", tc.r, err, tc.code)
		}
	}
	for _, tc := range []struct {
		head string
		code fault.Code
		says string
	}{
		{"01011110", "", ""},
		{"02010010", fault.Unsupported, "version 2"},
		{"47455420", fault.Unsupported, "version 71"}, // an HTTP request
		{"01040010", fault.Unsupported, "operation 4"},
		{"01011111", fault.TooLarge, "4369 bytes"},
	} {
		head, _ := hex.DecodeString(tc.head)
		if _, err := requestBody(head); fault.CodeOf(err) != tc.code || err != nil && !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v, want %q that says %q", tc.head, err, tc.code, tc.says)
		}
	}
}

func TestResponseRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := response{
			status:     status(rapid.IntRange(0, len(statuses)-1).Draw(t, "status")),
			retryAfter: time.Duration(rapid.IntRange(0, 65535).Draw(t, "retry")) * time.Millisecond,
			size:       rapid.IntRange(0, maxWords).Draw(t, "size"),
			total:      rapid.Int64Min(maxWords).Draw(t, "total"),
			sum:        rapid.Uint64().Draw(t, "sum"),
		}
		b := want.append(nil)
		if got, err := parseResponse(b); err != nil || got != want || len(b) != responseHead {
			t.Fatalf("%+v, %v, want %+v", got, err, want)
		}
	})
	for _, r := range []response{
		{size: MaxRange + 1, total: 1 << 40},
		{size: 2, total: 1},
		{size: 1, total: -1},
		{status: 1, size: maxWords + 1},
	} {
		if _, err := parseResponse(r.append(nil)); !fault.Is(err, fault.Unavailable) {
			t.Errorf("%+v is taken: %v", r, err)
		}
	}
}

// TestRefusals: what a peer is told, and what it makes of it.
func TestRefusals(t *testing.T) {
	slow := fault.New(fault.Overloaded, "full").With(func(e *fault.Error) { e.RetryAfter = time.Second })
	for _, tc := range []struct {
		err  error
		code fault.Code
		says string
	}{
		{slow, fault.Overloaded, "peer a: full"},
		{fault.New(fault.NotFound, "no %s", "v"), fault.NotFound, "peer a: no v"},
		{fault.New(fault.SnapshotLost, "gone"), fault.Unavailable, "peer a: gone"}, // a code without a number
		{os.ErrClosed, fault.Unavailable, "peer a: file already closed"},
		{fault.New(fault.Internal, "%s", strings.Repeat("x", 2000)), fault.Internal, "peer a: " + strings.Repeat("x", maxWords)},
	} {
		b := appendRefusal(nil, tc.err)
		r, err := parseResponse(b)
		if err != nil || r.size != len(b)-responseHead {
			t.Fatal(err, r.size, len(b))
		}
		got := r.status.err("a", string(b[responseHead:]), r.retryAfter)
		if got.Code != tc.code || got.Message != tc.says {
			t.Errorf("%v arrives as %v", tc.err, got)
		}
	}
	if r, _ := parseResponse(appendRefusal(nil, slow)); r.retryAfter != time.Second {
		t.Errorf("the hint arrives as %v", r.retryAfter)
	}
	if e := status(200).err("a", "new", 0); e.Code != fault.Unavailable {
		t.Errorf("a status of a later release is %v", e)
	}
	later := appendRefusal(nil, slow)
	later[0] = 2
	if r, err := parseResponse(later); err != nil || r.status != 5 {
		t.Errorf("a refusal of a later version: %+v, %v", r, err)
	}
	later[1] = 0
	if _, err := parseResponse(later); !fault.Is(err, fault.Unsupported) {
		t.Errorf("a response of a later version: %v", err)
	}
}

// TestGolden keeps the bytes of version 1.
func TestGolden(t *testing.T) {
	r := request{ref: Ref{Key: "k1", Version: "v"}, offset: 1 << 20, length: 512 << 10}
	r.capability = testSecret.Mint("test", r.ref, time.UnixMilli(1_800_000_000_000))
	head := response{size: 5, total: 7, sum: 0x0102030405060708}
	for _, tc := range []struct{ name, got, want string }{
		{"request", hex.EncodeToString(r.append(nil)), goldenRequest},
		{"response", hex.EncodeToString(head.append(nil)), "010000000000000500000000000000070102030405060708"},
		{"refusal", hex.EncodeToString(appendRefusal(nil, overloaded("full"))), "010500640000000400000000000000008703fa3579e75db566756c6c"},
	} {
		if tc.got != tc.want {
			t.Errorf("%s: %s, want %s", tc.name, tc.got, tc.want)
		}
	}
}

// goldenRequest was made by another program, from the description.
const goldenRequest = "0101003c00000000001000000008000000026b3100017628000001a3" +
	"185c5000c7c54da2fc99831da8ea7d93003d2005ad3fff0ce64d3e2080e9bdac12a154d4"

// TestPage holds docs/formats/xfer.md to the code.
func TestPage(t *testing.T) {
	b, err := os.ReadFile("../../docs/formats/xfer.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(b)
	want := []string{
		fmt.Sprintf("transfer protocol version %d", protocol),
		fmt.Sprintf("at most %d |", maxRequestBody),
		fmt.Sprintf("at most %d; 0 asks", MaxRange),
		fmt.Sprintf("1 to %d,", MaxToken),
		fmt.Sprintf("head of %d bytes", responseHead),
		fmt.Sprintf("at most %d bytes |", maxWords),
		fmt.Sprintf("%d bytes: the expiry", capabilityLen),
		fmt.Sprintf("%d, read, %d, share, or %d, chunks |", opRead, opShare, opChunks),
		fmt.Sprintf("at most %d bytes of ticket", MaxTicket),
		fmt.Sprintf("chunks of %d bytes", Chunk),
		domain,
	}
	for n, code := range statuses[1:] {
		want = append(want, fmt.Sprintf("| %d | `%s`", n+1, code))
	}
	for _, w := range want {
		if !strings.Contains(page, w) {
			t.Errorf("the page does not say %q", w)
		}
	}
	if strings.Contains(page, fmt.Sprintf("| %d | `", len(statuses))) {
		t.Error("the page has a status that the code does not know")
	}
}

func FuzzRequest(f *testing.F) {
	r := request{ref: ref("v"), capability: make([]byte, capabilityLen), length: 1}
	f.Add(r.append(nil))
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < requestHead {
			return
		}
		n, err := requestBody(b)
		if err != nil || len(b) < requestHead+n {
			return
		}
		got, err := parseRequest(b[requestHead : requestHead+n])
		if err != nil {
			if !fault.Is(err, fault.InvalidArgument) && !fault.Is(err, fault.TooLarge) {
				t.Fatal(err)
			}
			return
		}
		got.op = b[1]
		if again := got.append(nil); !bytes.Equal(again, b[:requestHead+n]) {
			t.Fatalf("%x is read as %x", b, again)
		}
	})
}

func FuzzResponse(f *testing.F) {
	f.Add(appendRefusal(nil, overloaded("full")))
	f.Add((&response{size: 1, total: 1}).append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < responseHead {
			return
		}
		r, err := parseResponse(b)
		if err != nil {
			return
		}
		if r.size < 0 || r.size > MaxRange || r.status != statusOK && r.size > maxWords || r.status == statusOK && int64(r.size) > r.total {
			t.Fatalf("%+v is taken", r)
		}
		if b[0] != protocol {
			return
		}
		if again := r.append(nil); !bytes.Equal(again, b[:responseHead]) {
			t.Fatalf("%x is read as %x", b, again)
		}
	})
}
