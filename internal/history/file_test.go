package history

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/squall-faas/squall/fault"
)

// record writes a history as a file.
func record(t *testing.T, h *History) []byte {
	t.Helper()
	var b bytes.Buffer
	w := NewWriter(&b)
	for _, o := range h.Ops {
		w.Op(o)
	}
	for _, e := range h.Ends {
		w.End(e)
	}
	for _, f := range h.Finals {
		w.Final(f)
	}
	for _, f := range h.Faults {
		w.Fault(f)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// bare forgets where records were read, and the difference between none and no list.
func bare(h *History) History {
	c := History{slices.Clone(h.Ops), slices.Clone(h.Ends), slices.Clone(h.Finals), slices.Clone(h.Faults)}
	for i := range c.Ops {
		c.Ops[i].at = place{}
	}
	for i := range c.Ends {
		c.Ends[i].at = place{}
		if len(c.Ends[i].Attempts) == 0 {
			c.Ends[i].Attempts = nil
		}
	}
	for i := range c.Finals {
		c.Finals[i].at = place{}
	}
	slices.SortFunc(c.Ops, func(a, b Op) int { return cmp.Compare(a.ID, b.ID) })
	return c
}

func TestFileKeepsAHistory(t *testing.T) {
	for _, level := range allLevels {
		h := simulate(level, "", 1, 200)
		var r Reader
		if err := r.Read("h", bytes.NewReader(record(t, h))); err != nil {
			t.Fatal(err)
		}
		if got, want := bare(r.History()), bare(h); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: what was read is not what was recorded", level)
		}
	}
}

// TestWriterIsSafeForConcurrentUse: lines are whole, whoever writes them, and several files are one history.
func TestWriterIsSafeForConcurrentUse(t *testing.T) {
	var files [2]bytes.Buffer
	writers := []*Writer{NewWriter(&files[0]), NewWriter(&files[1])}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 200 {
				id := g*1000 + i
				if err := writers[g%2].Op(Op{ID: id, Run: fmt.Sprint(id), Call: "a", Kind: Write, Key: "k", Values: []string{fmt.Sprint(id)}, Begin: 1, End: 2, Result: OK}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	var r Reader
	for i, w := range writers {
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		if err := r.Read(fmt.Sprint(i), &files[i]); err != nil {
			t.Fatal(err)
		}
	}
	c, err := New(r.History())
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Report(); got.Ops != 1600 || got.MaxWriters != 1600 || got.Contended != 1 {
		t.Fatalf("%+v", got)
	}
}

type fullDisk struct{ after int }

func (f *fullDisk) Write(b []byte) (int, error) {
	if f.after -= len(b); f.after < 0 {
		return 0, errors.New("no space left")
	}
	return len(b), nil
}

func TestWriterKeepsItsError(t *testing.T) {
	w := NewWriter(&fullDisk{after: 100_000})
	var err error
	for i := 0; err == nil && i < 10_000; i++ {
		err = w.Op(Op{ID: i, Run: "r", Call: "a", Kind: Read, Key: strings.Repeat("k", 100)})
	}
	if !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "no space left") {
		t.Fatal(err)
	}
	if again := w.Flush(); again == nil || again.Error() != err.Error() {
		t.Fatalf("flush says %v", again)
	}
}

// TestReaderRefuses: what is no history is refused, and the line named.
func TestReaderRefuses(t *testing.T) {
	const head = `{"squall_history":1}` + "\n"
	const op = `{"o":{"id":1,"run":"r","call":"a","op":"read","key":"k","b":1,"e":2,"res":"ok"}}` + "\n"
	for _, tc := range []struct{ name, file, want string }{
		{"nothing", "", "h:1: the file is empty"},
		{"no head", op, "h:1: this is no history"},
		{"later version", `{"squall_history":2}`, "h:1: version 2"},
		{"no JSON", head + op + "hello\n", "h:3: this is no record"},
		{"cut off", head + op[:40], "h:2: this is no record"},
		{"unknown field", head + strings.Replace(op, `"key"`, `"kei"`, 1), "kei"},
		{"two records", head + strings.TrimSpace(op) + op, "h:2: there is something behind"},
		{"empty record", head + "{}\n", "h:2: the line has 0 records"},
		{"double record", head + `{"fault":{"kind":"x","t":1},"final":{"key":"k"}}`, "h:2: the line has 2 records"},
		{"no run", head + strings.Replace(op, `"r"`, `""`, 1), "h:2: op 1: give it a run"},
		{"kind", head + strings.Replace(op, `"read"`, `"peek"`, 1), `unknown kind "peek"`},
		{"result", head + strings.Replace(op, `"ok"`, `"fine"`, 1), `unknown result "fine"`},
		{"level", head + strings.Replace(op, `"b":1`, `"lvl":"best","b":1`, 1), `"best"`},
		{"ack", head + strings.Replace(op, `"b":1`, `"ack":"maybe","b":1`, 1), `"maybe"`},
		{"mk without a node", head + strings.Replace(op, `"b":1`, `"lvl":"mk","b":1`, 1), "name it"},
		{"ends before it begins", head + strings.Replace(op, `"e":2`, `"e":-2`, 1), "ends at -2"},
		{"ok, but never returned", head + strings.Replace(op, `"e":2,`, ``, 1), "ends at 0"},
		{"a write without its id", head + strings.Replace(op, `"read"`, `"write"`, 1), "exactly one value"},
		{"a failed read with values", head + strings.Replace(op, `"res":"ok"`, `"v":["x"],"res":"failed"`, 1), "saw nothing"},
		{"end without a run", head + `{"end":{"out":"ok"}}`, "h:2: the end of a run"},
		{"outcome", head + `{"end":{"run":"r","out":"good"}}`, `unknown outcome "good"`},
		{"final without a key", head + `{"final":{}}`, "h:2: a final state"},
		{"fault without a kind", head + `{"fault":{"t":1}}`, "h:2: a fault"},
		{"fewer faults than none", head + `{"fault":{"kind":"x","t":1,"n":-1}}`, "h:2: -1 faults"},
		{"too long", head + strings.Repeat("x", maxLine+1), "h:2: the line is longer"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var r Reader
			err := r.Read("h", strings.NewReader(tc.file))
			if fault.CodeOf(err).ExitCode() == 0 || err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("%v, want %q", err, tc.want)
			}
			if code := fault.CodeOf(err); code != fault.InvalidArgument && code != fault.Unsupported {
				t.Errorf("code %s", code)
			}
		})
	}
}

// TestNewRefuses: a history that contradicts itself is refused, and the records named.
func TestNewRefuses(t *testing.T) {
	for _, tc := range []struct {
		name, script string
		edit         func(h *History)
		want         string
	}{
		{"an id twice", "r1 a n1 lww read k -\nr1 a n1 lww read k -", func(h *History) { h.Ops[1].ID = 1 }, "op 1 is there twice (also at h:2)"},
		{"a value twice", "r1 a n1 lww write k x\nr1 a n1 lww write j x", nil, "h:3: ops 2 and 1 (also at h:2) both wrote x"},
		{"levels mixed", "r1 a n1 lww write k x\nr1 a n1 sk write j y", nil, "h:3: op 2 is at level sk"},
		{"a counter that is none", "r1 a n1 lww increment k x\nr1 a n1 lww write k y", nil, "h:3: op 2 is a write"},
		{"program order twice", "r1 a n1 lww write k x\nr1 a n1 lww write k y", func(h *History) { h.Ops[1].Seq = 0 }, "both have seq 0"},
		{"calls in a circle", "r1 a<b n1 lww write k x\nr1 b<a n1 lww write k y", nil, "comes after itself"},
		{"an end twice", "r1 a n1 lww write k x\nend r1 ok", func(h *History) { h.Ends = append(h.Ends, h.Ends[0]) }, "h:4: run r1 ends twice (also at h:3)"},
		{"an end at another level", "r1 a n1 lww write k x\nend r1 ok", func(h *History) { h.Ends[0].Level = "sk" }, "ends at level sk"},
		{"a final state twice", "r1 a n1 lww write k x\nfinal k x\nfinal k x", nil, "final state of key k is there twice"},
		{"a transaction's write that does not say what it replaces", "r1 a n1 txn write k x\nr2 a n1 txn read k x\nr2 a n1 txn write k y", nil, "h:4: op 3: at txn a write has to name"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := script(t, tc.script)
			if tc.edit != nil {
				tc.edit(h)
			}
			var r Reader
			if err := r.Read("h", bytes.NewReader(record(t, h))); err != nil {
				t.Fatal(err)
			}
			_, err := New(r.History())
			if !fault.Is(err, fault.InvalidArgument) || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("%v, want %q", err, tc.want)
			}
		})
	}
}

// FuzzRead: whatever a file holds, it is refused or checked.
func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"squall_history":1}`))
	f.Fuzz(func(t *testing.T, file []byte) {
		var r Reader
		if err := r.Read("h", bytes.NewReader(file)); err != nil {
			return
		}
		c, err := New(r.History())
		if err != nil {
			return
		}
		for _, v := range c.Check(Options{Strong: 50_000_000}) {
			if v.Why == "" || !slices.Contains(Rules(), v.Rule) {
				t.Errorf("%+v", v)
			}
		}
		c.Report().Vacuous()
	})
}
