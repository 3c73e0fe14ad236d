package wasm

import (
	"bytes"
	"context"
	"encoding/binary"
	"testing"
	"time"

	"github.com/squall-faas/squall/executor/runtime/runtimetest"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs/lattice"
	"github.com/squall-faas/squall/value"
)

func TestFailureRoundTrip(t *testing.T) {
	want := &fault.Error{Code: fault.Overloaded, Message: "m", Detail: "d", Node: "n", Function: "f", Executor: "e", RetryAfter: 5, Final: true}
	got, ok := parseFailure(append(appendFailure(nil, want), "of a later version"...))
	if !ok || *got != *want {
		t.Errorf("gave %+v, %v; want %+v", got, ok, want)
	}
	got, ok = parseFailure(appendFailure(nil, &fault.Error{Code: "not_yet_invented", Message: "m"}))
	if !ok || got.Code != fault.FunctionError {
		t.Errorf("an unknown code gives %+v, %v", got, ok)
	}
}

func TestValuesFrame(t *testing.T) {
	args := []value.Value{value.MustOf(7), value.MustOf([]byte{1, 2, 3}), value.MustOf("text"), {}}
	f, err := newValuesFrame(args)
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, f.size)
	f.write(b)
	got, err := parseValues(b)
	if err != nil || len(got) != len(args) {
		t.Fatalf("gave %d values, %v", len(got), err)
	}
	for i := range args {
		want, _ := args[i].Wire()
		if have, _ := got[i].Wire(); !bytes.Equal(have, want) {
			t.Errorf("value %d is %x, want %x", i, have, want)
		}
	}
}

// putFrame is what a guest sends for a put with options.
func putFrame(key string, ttl time.Duration, ack string, v value.Value) []byte {
	b := appendText(binary.LittleEndian.AppendUint64(appendText(nil, key), uint64(ttl)), ack)
	b, err := v.Append(b)
	if err != nil {
		panic(err)
	}
	return b
}

func updateFrame(t testing.TB, key string, op lattice.Op) []byte {
	t.Helper()
	b, err := lattice.AppendOp(appendText(nil, key), op)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// FuzzGuestFrames: whatever a guest sends, the host neither fails nor believes a count that the bytes do not bear out.
func FuzzGuestFrames(f *testing.F) {
	named, err := appendNamed(nil, map[string]value.Value{"a": value.MustOf(1)})
	if err != nil {
		f.Fatal(err)
	}
	frame, err := newValuesFrame([]value.Value{value.MustOf(7), value.MustOf("x")})
	if err != nil {
		f.Fatal(err)
	}
	args := make([]byte, frame.size)
	frame.write(args)
	f.Add(appendFailure(nil, &fault.Error{Code: fault.NotFound, Message: "m"}))
	f.Add(named)
	f.Add(args)
	f.Add(putFrame("k", time.Minute, "stored", value.MustOf(7)))
	f.Add(putFrame("k", -1, "", value.MustOf(7)))
	f.Add(updateFrame(f, "k", lattice.Op{Kind: lattice.Add, Arg: value.MustOf(-3)}))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		if e, ok := parseFailure(b); ok && !e.Code.Known() {
			t.Errorf("a failure has the unknown code %q", e.Code)
		}
		if vs, err := parseValues(b); err == nil && len(vs)*5 > len(b) {
			t.Errorf("%d bytes gave %d values", len(b), len(vs))
		}
		if vs, err := parseNamed(b); err == nil {
			again, err := appendNamed(nil, vs)
			if err != nil {
				t.Fatal(err)
			}
			if back, err := parseNamed(again); err != nil || len(back) != len(vs) {
				t.Errorf("%d named values came back as %d, %v", len(vs), len(back), err)
			}
		}
		if key, v, o, err := parsePut(b); err == nil {
			again := putFrame(key, o.TTL, o.Ack, v)
			if key2, v2, o2, err := parsePut(again); err != nil || key2 != key || o2 != o || v2.Size() != v.Size() {
				t.Errorf("a put of %q with %+v came back as %q with %+v, %v", key, o, key2, o2, err)
			}
		}
		if key, op, err := parseUpdate(b); err == nil && !bytes.Equal(updateFrame(t, key, op), b) {
			t.Errorf("an update of %q by %+v has more than one form", key, op)
		}
		if texts, ok := parseTexts(b); ok && len(texts)*4 > len(b) {
			t.Errorf("%d bytes gave %d texts", len(b), len(texts))
		}
	})
}

// FuzzOperate: whatever a guest asks for, it gets a reply or a fault that a function may see, and waits for nothing when
// its time is up. The Context is one that has ended, so that nothing waits.
func FuzzOperate(f *testing.F) {
	f.Add(uint32(opGet), []byte("k"))
	f.Add(uint32(opPutWith), putFrame("k", time.Minute, "stored", value.MustOf(7)))
	f.Add(uint32(opUpdate), updateFrame(f, "k", lattice.Op{Kind: lattice.Add, Arg: value.MustOf(-3)}))
	f.Add(uint32(opUpdate), updateFrame(f, "k", lattice.Op{Kind: lattice.RemoveField, Field: "f"}))
	f.Add(uint32(opSiblings), []byte("k"))
	f.Add(uint32(opGetMany), appendText(appendText([]byte{2, 0, 0, 0}, "k"), "l"))
	f.Add(uint32(opAddress), []byte(nil))
	f.Add(uint32(opSend), append(appendText(nil, "e1.0"), 0))
	f.Add(uint32(opRecv), []byte("more than nothing"))
	f.Add(uint32(opLog), []byte{1, 0, 0, 0, 0, 0, 0, 0})
	f.Add(uint32(99), []byte(nil))
	over, cancel := context.WithCancel(f.Context())
	cancel()
	f.Fuzz(func(t *testing.T, op uint32, request []byte) {
		inst := &instance{}
		inst.out.inst = inst
		inst.inv = invocation{Context: runtimetest.NewContext(over), inst: inst}
		before := bytes.Clone(request)
		for range 2 { // the second time on what the first has left
			err := inst.inv.operate(op, request)
			if code := fault.CodeOf(err); code == fault.Internal {
				t.Fatalf("operation %d gave %v", op, err)
			}
		}
		if !bytes.Equal(request, before) {
			t.Fatalf("operation %d changed its request", op)
		}
	})
}
