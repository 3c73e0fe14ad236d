package ops

import (
	"testing"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/fn"
	"github.com/squall-faas/squall/internal/ycsb"
	"github.com/squall-faas/squall/kvs/lattice"
	"github.com/squall-faas/squall/value"
)

// stub is a function's context over a map.
type stub struct {
	fn.Context
	keys map[string]value.Value
}

func (s stub) GetValue(key string) (value.Value, error) {
	v, ok := s.keys[key]
	if !ok {
		return v, fault.New(fault.NotFound, "no %q", key)
	}
	return v, nil
}

func (s stub) GetValues(keys []string) ([]value.Value, error) {
	out := make([]value.Value, len(keys))
	for i, key := range keys {
		out[i] = s.keys[key]
	}
	return out, nil
}

func (s stub) SiblingValues(key string) ([]value.Value, error) {
	v, err := s.GetValue(key)
	return []value.Value{v}, err
}

func (s stub) PutValue(key string, v value.Value, _ fn.PutOptions) error {
	s.keys[key] = v
	return nil
}

func (s stub) UpdateValue(key string, _ lattice.Op) (value.Value, error) {
	n, _ := value.As[int64](s.keys[key]) // none is 0
	s.keys[key] = value.MustOf(n + 1)
	return s.keys[key], nil
}

func small(t testing.TB) *ycsb.Workload {
	t.Helper()
	var p ycsb.Properties
	p.Set("recordcount", "10", "")
	p.Set("fieldcount", "2", "")
	p.Set("keyprefix", "k=:, ", "") // what would need care in a text
	w, err := ycsb.New(&p)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestDo(t *testing.T) {
	w := small(t)
	c := stub{keys: map[string]value.Value{w.Key(3): value.MustOf([]byte("nonsense")), w.Key(4): value.MustOf(5)}}
	call := AppendSetup(nil, Setup{Workload: Describe(w), Check: true, Reads: true})
	for _, op := range []ycsb.Op{
		{Kind: ycsb.Update, Record: 1, Version: 7}, {Kind: ycsb.Read, Record: 1}, {Kind: ycsb.Read, Record: 2}, {Kind: ycsb.Scan, Record: 1, Length: 3},
		{Kind: ycsb.Count, Record: 5}, {Kind: ycsb.ReadModifyWrite, Record: 1, Version: 8}, {Kind: ycsb.Insert, Record: 1 << 40, Version: 9}, {Kind: ycsb.Read, Record: 4},
	} {
		call = AppendOp(call, &op)
	}
	out, err := Do(c, call)
	if err != nil {
		t.Fatal(err)
	}
	type outcome struct {
		missing, damaged int
		code             fault.Code
	}
	got := map[int]outcome{}
	if err := Outcomes(out, func(n, missing, damaged int, err error) { got[n] = outcome{missing, damaged, fault.CodeOf(err)} }); err != nil {
		t.Fatal(err)
	}
	want := map[int]outcome{2: {1, 0, ""}, 3: {1, 1, ""}, 7: {0, 0, fault.WrongType}}
	for n := range 8 {
		if got[n] != want[n] {
			t.Errorf("operation %d: %+v, want %+v", n, got[n], want[n])
		}
	}
	b, err := value.As[[]byte](c.keys[w.Key(1)])
	if err != nil {
		t.Fatal(err)
	}
	if v, err := w.Record.Same(w.Key(1), b); v != 8 || err != nil {
		t.Errorf("version %d, %v", v, err)
	}
	if n, err := value.As[int64](c.keys[w.CounterKey(5)]); n != 1 || err != nil {
		t.Errorf("counter %d, %v", n, err)
	}
}

func TestNodes(t *testing.T) {
	w := small(t)
	c := stub{keys: map[string]value.Value{}}
	op := &ycsb.Op{Version: 7, Access: []ycsb.Access{{Node: 0, Record: 1, Write: true}, {Node: 2, Record: 2, Write: true}, {Node: 3, Record: 1}, {Node: 9, Record: 9, Write: true}}}
	message := AppendMessage(nil, Setup{Workload: Describe(w)}, op, 50)
	parts, err := Split(c, 2, message)
	if err != nil || len(parts) != 2 || len(c.keys) != 1 {
		t.Fatalf("%d parts, %d keys, %v", len(parts), len(c.keys), err)
	}
	for i, p := range parts {
		if parts[i], err = Part(c, p); err != nil {
			t.Fatal(err)
		}
	}
	out, err := Gather(c, 3, parts)
	if err != nil || string(out[len(out)-50:]) != string(message[len(message)-50:]) || len(c.keys) != 2 {
		t.Errorf("%d keys, %v", len(c.keys), err)
	}
	if _, err := Join(c, 9, message, message); err != nil || len(c.keys) != 3 {
		t.Errorf("%d keys, %v", len(c.keys), err)
	}
	c.keys[w.Key(1)] = c.keys[w.Key(2)]
	if _, err := Step(c, 3, AppendMessage(nil, Setup{Workload: Describe(w), Check: true}, op, 0)); !fault.Is(err, fault.Internal) {
		t.Errorf("a node that read another key's record: %v", err)
	}
	if _, err := Gather(c, 3, nil); !fault.Is(err, fault.InvalidArgument) {
		t.Error(err)
	}
}

// FuzzCall holds that what makes no sense is an error and no panic.
func FuzzCall(f *testing.F) {
	w := small(f)
	good := AppendSetup(nil, Setup{Workload: Describe(w), Check: true})
	f.Add(AppendOp(good, &ycsb.Op{Kind: ycsb.Read, Record: 1}))
	f.Add(AppendMessage(nil, Setup{Workload: Describe(w)}, &ycsb.Op{Access: []ycsb.Access{{Node: 0, Record: 1}}}, 3))
	f.Add(good[:len(good)-1])
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f})
	f.Fuzz(func(_ *testing.T, b []byte) {
		if len(b) > 1<<10 {
			return
		}
		c := stub{keys: map[string]value.Value{}}
		_, _ = Do(c, b)
		_, _ = Part(c, b)
		_ = Outcomes(b, func(int, int, int, error) {})
	})
}
