package wasmbin

import (
	"errors"
	"testing"

	"github.com/tetratelabs/wazero"
)

// endless are modules whose export f, of type () -> (), does not return in a lifetime, each for another reason.
func endless() map[string]asm {
	void := typ(nil, nil)
	one := func(body ...any) asm {
		return asm{types: [][]byte{void}, funcs: []fn{{body: cat(body...)}}, exports: [][]byte{exportFunc("f", 0)}}
	}
	with := func(a asm, change func(*asm)) asm { change(&a); return a }
	tree := asm{
		types: [][]byte{void, typ(i32s(1), nil)},
		funcs: []fn{{body: cat(i32c(40), invoke(1))}, {typ: 1, body: cat(
			get(0), opIf, emptyBlock,
			get(0), i32c(1), opI32Sub, invoke(1),
			get(0), i32c(1), opI32Sub, invoke(1), opEnd)}},
		exports: [][]byte{exportFunc("f", 0)},
	}
	fill := cat(i32c(0), i32c(1), i32c(64<<16), prefixMisc, 11, 0)
	return map[string]asm{
		"loop":             one(opLoop, emptyBlock, opBr, 0, opEnd),
		"loop by br_table": one(opLoop, emptyBlock, i32c(3), opBrTable, 1, 0, 0, opEnd),
		"loop by br_if":    one(opLoop, emptyBlock, i32c(3), opBrIf, 0, opEnd),
		"loop in a block in a loop": one(opLoop, emptyBlock, opBlock, emptyBlock, opLoop, emptyBlock, opBr, 1, opEnd, opEnd,
			opBr, 0, opEnd),
		"tree of 2^40 calls without a loop": tree,
		"tail call":                         one(opReturnCall, 0),
		"indirect tail call": with(one(i32c(0), opReturnCallIndirect, 0, 0), func(a *asm) {
			a.tables, a.elements = [][]byte{cat(FuncRef, 0, 1)}, [][]byte{cat(0, i32c(0), opEnd, 1, 0)}
		}),
		"many long fills without a loop or a call": with(one(repeat(fill, 300)), func(a *asm) {
			a.memory = cat(0, 64)
		}),
	}
}

// TestEndlessGuestsAreStopped ends each of them after a few ticks, twice in the same instance.
func TestEndlessGuestsAreStopped(t *testing.T) {
	for name, a := range endless() {
		t.Run(name, func(t *testing.T) {
			e := newEngine(t, wazero.NewRuntimeConfig())
			m := e.start(t, metered(t, a.bytes(), testOptions))
			for range 2 {
				e.stopAfter = e.ticks + 3
				if _, err := m.ExportedFunction("f").Call(t.Context()); !errors.Is(err, errStopped) {
					t.Fatalf("it ended with %v", err)
				}
			}
		})
	}
}

// TestStartFunctionIsStopped holds the same of code that runs while the module is instantiated.
func TestStartFunctionIsStopped(t *testing.T) {
	a := asm{types: [][]byte{typ(nil, nil)}, funcs: []fn{{body: cat(opLoop, emptyBlock, opBr, 0, opEnd)}}, start: []byte{0}}
	e := newEngine(t, wazero.NewRuntimeConfig())
	e.stopAfter = 3
	if _, err := e.instantiate(t.Context(), metered(t, a.bytes(), testOptions)); !errors.Is(err, errStopped) {
		t.Fatalf("it ended with %v", err)
	}
}

// TestUnitsFollowTheCode holds that code counts by its length, so that no module can do much between two ticks by
// doing it in a straight line.
func TestUnitsFollowTheCode(t *testing.T) {
	const every, turns = 1000, 50
	nops := repeat([]byte{0x01}, 100*unitBytes)
	long := func(before, inside, after []byte) asm {
		return asm{
			types: [][]byte{typ(nil, nil)},
			funcs: []fn{{
				locals: vec(cat(1, I32)),
				body: cat(i32c(turns), set(0), before, opLoop, emptyBlock, inside,
					get(0), i32c(1), opI32Sub, 0x22, 0, opBrIf, 0, opEnd, after),
			}},
			exports: [][]byte{exportFunc("f", 0)},
		}
	}
	for _, c := range []struct {
		name  string
		asm   asm
		ticks int64 // of one call: at least, and at most one more
	}{
		{"in the loop", long(nil, nops, nil), turns * 100 / every},
		{"before the loop", long(repeat(nops, 20), nil, nil), 1},
		{"after the loop", long(nil, nil, repeat(nops, 20)), 1},
		{"nowhere", long(nil, nil, nil), 0},
	} {
		o := testOptions
		o.Every = every
		e := newEngine(t, wazero.NewRuntimeConfig())
		m := e.start(t, metered(t, c.asm.bytes(), o))
		call(t, m, "f")
		if e.ticks < c.ticks || e.ticks > c.ticks+1 {
			t.Errorf("long code %s: %d ticks, want %d", c.name, e.ticks, c.ticks)
		}
	}
}

// TestHostSetsTheCounter holds that the host may shorten or lengthen the time to the next tick.
func TestHostSetsTheCounter(t *testing.T) {
	e := newEngine(t, wazero.NewRuntimeConfig())
	m := e.start(t, metered(t, loopModule(), testOptions))
	units := m.ExportedGlobal(testOptions.Counter).(interface {
		Get() uint64
		Set(uint64)
	})
	if got := units.Get(); got != DefaultEvery {
		t.Fatalf("the counter begins at %d, want %d", got, DefaultEvery)
	}
	for _, c := range []struct{ units, ticks uint64 }{{0, 1}, {5000, 1}, {1 << 30, 0}} {
		units.Set(c.units)
		before := e.ticks
		call(t, m, "loop", 10_000)
		if got := e.ticks - before; got != int64(c.ticks) {
			t.Errorf("with %d units, 10,000 turns ticked %d times, want %d", c.units, got, c.ticks)
		}
	}
}
