package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

const (
	historyHead = `{"squall_history":1}` + "\n"
	// two runs write a key at once, another reads it, and a fault is injected.
	soundHistory = historyHead + `{"o":{"id":1,"run":"r1","call":"a","node":"n1","lvl":"sk","op":"write","key":"k","v":["x1"],"b":10,"e":20,"res":"ok"}}
{"o":{"id":2,"run":"r2","call":"a","node":"n2","lvl":"sk","op":"write","key":"k","v":["x2"],"b":15,"e":25,"res":"ok"}}
{"o":{"id":3,"run":"r3","call":"a","node":"n2","lvl":"sk","op":"read","key":"k","v":["x1","x2"],"b":30,"e":35,"res":"ok"}}
{"end":{"run":"r1","lvl":"sk","out":"ok"}}
{"end":{"run":"r2","lvl":"sk","out":"ok"}}
{"end":{"run":"r3","lvl":"sk","out":"ok"}}
{"fault":{"kind":"crash","t":12}}
`
	bothKept = `{"final":{"key":"k","v":["x1","x2"]}}` + "\n"
	oneLost  = `{"final":{"key":"k","v":["x2"]}}` + "\n"
	// a run reads k before and j after a run that wrote both
	cutHistory = `{"o":{"id":11,"run":"s1","call":"a","lvl":"dsc","op":"read","key":"i","b":110,"e":111,"res":"ok"}}
{"o":{"id":12,"run":"s2","call":"a","lvl":"dsc","op":"write","key":"i","v":["y1"],"b":120,"e":121,"res":"ok"}}
{"o":{"id":13,"run":"s2","call":"a","seq":1,"lvl":"dsc","op":"write","key":"j","v":["y2"],"b":130,"e":131,"res":"ok"}}
{"o":{"id":14,"run":"s1","call":"a","seq":1,"lvl":"dsc","op":"read","key":"j","v":["y2"],"b":140,"e":141,"res":"ok"}}
{"end":{"run":"s1","lvl":"dsc","out":"ok"}}
{"end":{"run":"s2","lvl":"dsc","out":"ok"}}
{"final":{"key":"i","v":["y1"]}}
{"final":{"key":"j","v":["y2"]}}
`
)

func TestCheck(t *testing.T) {
	sh := isolate(t)
	sound := sh.file("sound", soundHistory+bothKept)
	lost := sh.file("lost", soundHistory+oneLost)
	part := sh.file("part", soundHistory)
	final := sh.file("final", historyHead+bothKept)

	if out := sh.ok("check", sound); !strings.Contains(out, "violations none") || !strings.Contains(out, "crash 1") {
		t.Error(out)
	}
	if out := sh.ok("check", part, final); !strings.Contains(out, "violations none") {
		t.Error(out)
	}

	code, out, errs := sh.run("", "check", lost)
	if code != 1 || !strings.Contains(errs, "1 violations") || !strings.Contains(out, "lost_write  sk     k    1    op 1 (write k = x1, run r1") {
		t.Errorf("exit %d, %s%s", code, out, errs)
	}
	if code, out, _ := sh.run("", "check", lost, "--allow", "lost_write"); code != 0 || !strings.Contains(out, "allowed    lost_write 1") {
		t.Errorf("exit %d, %s", code, out)
	}

	code, out, errs = sh.run(soundHistory+bothKept+cutHistory, "check", "-", "-o", "json")
	var v struct {
		Report     struct{ Ops int }
		Vacuous    []string
		Violations []struct {
			Rule string
			Ops  []int
		}
	}
	if err := json.Unmarshal([]byte(out), &v); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if code != 1 || v.Report.Ops != 7 || len(v.Vacuous) != 0 || len(v.Violations) != 1 || v.Violations[0].Rule != "cut" || fmt.Sprint(v.Violations[0].Ops) != "[12 11]" {
		t.Errorf("exit %d, %s%s", code, out, errs)
	}
	if code, out, errs := sh.run(soundHistory+bothKept+cutHistory, "check", "-", "--allow", "cut"); code != 0 {
		t.Errorf("exit %d, %s%s", code, out, errs)
	}
}

func TestCheckVacuous(t *testing.T) {
	sh := isolate(t)
	quiet := sh.file("quiet", strings.Replace(soundHistory+bothKept, `{"fault":{"kind":"crash","t":12}}`, "", 1))
	code, out, errs := sh.run("", "check", quiet)
	if code != 1 || !strings.Contains(out, "vacuous    no fault was injected") || !strings.Contains(errs, "proves nothing, because no fault") {
		t.Errorf("exit %d, %s%s", code, out, errs)
	}
	sh.ok("check", quiet, "--allow-vacuous")
}

func TestCheckRefuses(t *testing.T) {
	sh := isolate(t)
	sound := sh.file("sound", soundHistory)
	sh.fails(2, "see 'squall check --help'", "check")
	sh.fails(2, "no such file", "check", sound+"-not")
	sh.fails(2, "no rule", "check", sound, "--allow", "luck")
	sh.fails(2, "bad:3: this is no record", "check", sh.file("bad", historyHead+"\n{]\n"))
	sh.fails(2, "op 1 is there twice (also at "+sound+":2)", "check", sound, sh.file("again", soundHistory))
	sh.fails(1, "later:1: version 9", "check", sh.file("later", `{"squall_history":9}`))
}

// TestCheckShowsSome: people get some violations of a rule, programs all.
func TestCheckShowsSome(t *testing.T) {
	sh := isolate(t)
	var b strings.Builder
	b.WriteString(historyHead)
	for i := range 50 {
		fmt.Fprintf(&b, `{"o":{"id":%d,"run":"r%d","call":"a","op":"read","key":"k","v":["x"],"b":1,"e":2,"res":"ok"}}`+"\n", i, i)
	}
	file := sh.file("many", b.String())
	if _, out, _ := sh.run("", "check", file); strings.Count(out, "thin_air") != maxShown+1 || !strings.Contains(out, "and 30 more") {
		t.Error(out)
	}
	if _, out, _ := sh.run("", "check", file, "-o", "json"); strings.Count(out, "thin_air") != 50 {
		t.Error(out)
	}
}
