package history

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

func report(t *testing.T, text string) Report {
	t.Helper()
	c, err := New(script(t, text))
	if err != nil {
		t.Fatal(err)
	}
	return c.Report()
}

func TestReport(t *testing.T) {
	got := report(t, `
		fault crash
		fault drop
		fault drop 3
		r1 a n1 lww write k x1 t=10-20
		r2 a n2 lww write k x2 t=15-25
		r2 a n2 lww write k x3 t=18-22
		r3 a n2 lww read k x2
		r4 a n2 sk read j -
		r4 a n3 sk read j - att=1
		r5 a n3 sk write j y1
		end r4 ok a=1
		end r5 failed
		end r3 none
		r6 a n1 strong increment c i1 t=90-95
		r7 a n1 strong increment c i2 t=91- unknown
		final k x2`)
	want := Report{
		Levels: []LevelCount{
			{Level: "lww", Ops: 4, Reads: 1, Writes: 3, Runs: 3, OK: 2, Unknown: 1},
			{Level: "sk", Ops: 3, Writes: 1, Runs: 2, OK: 1, Failed: 1, Redone: 1},
			{Level: "strong", Ops: 2, Writes: 2, Runs: 2, OK: 2},
		},
		Runs: 7, Ops: 9, Keys: 3, Nodes: 3, Unsettled: 2,
		Faults: map[string]int{"crash": 1, "drop": 4}, MaxWriters: 2, Contended: 2,
		Anomalies: map[string]int{"sk": 2}, // both runs whose writes are gone; x2 and x3 are of one
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestAnomalies(t *testing.T) {
	for _, tc := range []struct {
		name, script string
		want         map[string]int
	}{
		{"none", `
			r1 a n1 lww write k x1
			r2 a n2 lww read k x1
			r2 a n2 lww write k x2
			final k x2`, map[string]int{}},
		{"two versions in a run", `
			r1 a n1 lww write k x1
			r2 a n2 lww read k x1
			r3 a n1 lww read k x1
			r3 a n1 lww write k x3
			r2 b<a n3 lww read k x3
			final k x3`, map[string]int{"rr": 1, "dsc": 1}},
		{"a concurrent update lost", `
			r1 a n1 lww write k x1
			r2 a n2 lww write k x2
			final k x2`, map[string]int{"sk": 1}},
		{"a run that went back", `
			r1 a n1 lww write k x1
			r2 a n2 lww read k x1
			r2 a n2 lww write k x2
			r3 a n3 lww read k x2
			r3 b<a n4 lww read k x1
			final k x2`, map[string]int{"rr": 1, "sk": 1, "dsc": 1}},
		{"a dependency missed by a node and a run", `
			r1 a n1 lww write k x1
			r1 b<a n1 lww write j y1
			r2 a n2 lww read j y1
			r2 b<a n2 lww read k -
			final k x1
			final j y1`, map[string]int{"mk": 1, "dsc": 1}},
		{"a cut in the other direction", `
			r2 a n2 lww read k -
			r1 a n1 lww write k x1
			r1 b<a n1 lww write j y1
			r2 b<a n3 lww read j y1
			final k x1
			final j y1`, map[string]int{"dsc": 1}},
		{"of a failed run", `
			r1 a n1 lww write k x1
			r2 a n2 lww write k x2
			end r1 failed
			final k x2`, map[string]int{}},
		{"not of another level", `
			r1 a n1 rr write k x1
			r2 a n2 rr read k -
			r2 a n2 rr read k x1
			final k x1`, map[string]int{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, err := New(script(t, tc.script))
			if err != nil {
				t.Fatal(err)
			}
			if got := c.Anomalies(); !reflect.DeepEqual(got, tc.want) {
				t.Errorf("%v, want %v", got, tc.want)
			}
		})
	}
}

func TestVacuous(t *testing.T) {
	const sound = `
		fault crash
		r1 a n1 lww write k x1 t=10-20
		r2 a n2 lww write k x2 t=10-20
		r3 a n2 lww read k x2
		final k x2
		`
	for _, tc := range []struct{ name, script, want string }{
		{"sound", sound, ""},
		{"empty", "", "nothing was recorded"},
		{"no fault", strings.Replace(sound, "fault crash", "", 1), "no fault"},
		{"one writer at a time", strings.ReplaceAll(sound, "t=10-20", ""), "no key had two writers"},
		{"no final state", strings.Replace(sound, "final k x2", "", 1), "no final state"},
		{"no success", sound + "r4 a n1 rr write j y1\nr5 a n1 rr read j y1\nfinal j y1\nend r4 failed\nend r5 failed", "no run at rr succeeded"},
		{"no write", sound + "r4 a n1 rr read j -", "nothing was written at rr"},
		{"no read", sound + "r4 a n1 rr write j y1\nfinal j y1", "no read at rr saw a write"},
		{"never tried", sound + "r4 a n1 rr write j y1\nr5 a n1 rr read j y1\nfinal j y1", "nothing that rr rules out"},
		{"no anomaly", sound[:strings.Index(sound, "r2 a")] + "r2 a n1 lww read k x1\nr4 a n1 sk write j y1 t=10-20\nr5 a n1 sk write j y2 t=10-20\nr6 a n1 sk read j y1\nfinal k x1\nfinal j y1,y2", "no anomaly"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			why := report(t, tc.script).Vacuous()
			switch {
			case tc.want == "" && len(why) > 0:
				t.Errorf("vacuous: %q", why)
			case tc.want != "" && !slices.ContainsFunc(why, func(s string) bool { return strings.Contains(s, tc.want) }):
				t.Errorf("%q, want one that says %q", why, tc.want)
			case len(why) > 1 && tc.name != "no final state" && tc.name != "one writer at a time":
				t.Errorf("more than one reason: %q", why)
			}
		})
	}
}

func TestParseRule(t *testing.T) {
	for _, r := range Rules() {
		if got, err := ParseRule(string(r)); got != r || err != nil {
			t.Errorf("%s: %s, %v", r, got, err)
		}
	}
	if _, err := ParseRule("luck"); err == nil || !strings.Contains(err.Error(), "thin_air") {
		t.Error(err)
	}
}
