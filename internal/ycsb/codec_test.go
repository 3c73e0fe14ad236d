package ycsb_test

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"

	"github.com/squall-faas/squall/internal/ycsb"
)

// TestKeys holds that keys are YCSB's: user6284781860667377211 is the first of any run of it.
func TestKeys(t *testing.T) {
	for _, tc := range []struct {
		say    []string
		record int64
		want   string
	}{
		{nil, 0, "usertable/user6284781860667377211"},
		{nil, 1, "usertable/user8517097267634966620"},
		{[]string{"insertorder=ordered", "zeropadding=6", "table=t", "keyprefix=k"}, 42, "t/k000042"},
	} {
		w := workload(t, append([]string{"recordcount=10"}, tc.say...)...)
		if got := w.Key(tc.record); got != tc.want {
			t.Errorf("record %d of %q: %s, want %s", tc.record, tc.say, got, tc.want)
		}
	}
}

func TestRecords(t *testing.T) {
	w := workload(t, "recordcount=10")
	v := ycsb.NewVersion(7, 3, 99)
	a := w.Record.Append(nil, "k", v)
	if len(a) < 1000 || len(a) > 1040 {
		t.Errorf("a record of 10 × 100 bytes has %d", len(a))
	}
	if got, err := w.Record.Same("k", a); err != nil || got != v || got.Run() != 7 {
		t.Errorf("version %x, %v", got, err)
	}
	if bytes.Equal(a, w.Record.Append(nil, "k", v+1)) || bytes.Equal(a, w.Record.Append(nil, "l", v)) {
		t.Error("two writes store the same bytes")
	}
	other := workload(t, "recordcount=10", "fieldcount=9")
	if _, err := other.Record.Same("k", a); err == nil {
		t.Error("records of other fields are taken for its own")
	}
}

// TestDamage holds that no change of a record, and no other key, goes unseen.
func TestDamage(t *testing.T) {
	w := workload(t, "recordcount=10", "fieldcount=3", "fieldlength=40", "minfieldlength=0", "fieldlengthdistribution=uniform")
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.String().Draw(t, "key")
		v := ycsb.Version(rapid.Uint64().Draw(t, "version"))
		b := w.Record.Append([]byte("before"), key, v)[len("before"):]
		if got, err := w.Record.Same(key, b); err != nil || got != v {
			t.Fatalf("intact: %v", err)
		}
		if _, err := ycsb.Check(key+"x", b); err == nil {
			t.Fatal("another key's record is accepted")
		}
		bad := bytes.Clone(b)
		bad[rapid.IntRange(0, len(b)-1).Draw(t, "at")] ^= byte(rapid.IntRange(1, 255).Draw(t, "bits"))
		if _, err := ycsb.Check(key, bad); err == nil {
			t.Fatal("a changed byte is accepted")
		}
		if _, err := ycsb.Check(key, b[:rapid.IntRange(0, len(b)-1).Draw(t, "cut")]); err == nil {
			t.Fatal("a cut record is accepted")
		}
	})
}

func FuzzCheck(f *testing.F) {
	w := workload(f, "recordcount=10", "fieldcount=1", "fieldlength=3")
	f.Add("k", w.Record.Append(nil, "k", 1))
	f.Fuzz(func(_ *testing.T, key string, b []byte) { _, _ = w.Record.Same(key, b) })
}

func BenchmarkAppend(b *testing.B) {
	w := workload(b, "recordcount=10")
	buf := make([]byte, 0, 2048)
	b.ReportAllocs()
	for b.Loop() {
		buf = w.Record.Append(buf[:0], "usertable/user6284781860667377211", 5)
	}
}

func BenchmarkCheck(b *testing.B) {
	w := workload(b, "recordcount=10")
	buf := w.Record.Append(nil, "usertable/user6284781860667377211", 5)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ycsb.Check("usertable/user6284781860667377211", buf); err != nil {
			b.Fatal(err)
		}
	}
}
