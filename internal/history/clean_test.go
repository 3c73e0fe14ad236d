package history

import "testing"

// fine are histories that look suspicious and are in order.
var fine = []struct{ name, script string }{
	{"lww: the order of concurrent writes is anybody's", `
		r1 a n1 lww write k x1
		r2 a n2 lww write k x2
		final k x1`},
	{"lww: reads may be stale, and two versions", `
		r1 a n1 lww write k x1
		r1 a n1 lww write k x2
		r2 a n2 lww read k x2
		r2 a n2 lww read k x1
		final k x2
		final k@n2 x2`},
	{"lww: cached only, and lost", `
		r1 a n1 lww write k x1 cached
		final k -`},
	{"lww: unknown and lost, failed and lost", `
		r1 a n1 lww write k x1 unknown
		r1 a n1 lww write k x2 failed
		final k -`},
	{"lww: deleted", `
		r1 a n1 lww write k x1
		r2 a n1 lww delete k d1
		final k -`},
	{"lww: an unknown write won", `
		r1 a n1 lww write k x1 ts=1
		r2 a n1 lww write k x2 ts=2 unknown
		final k x2`},
	{"rr: one version, own write, then again", `
		r1 a n1 rr write k x1
		r2 a n1 rr read k x1
		r3 a n1 rr write k x3
		r2 b<a n2 rr read k x1
		r2 b<a n2 rr write k x2
		r2 c<b n3 rr read k x2`},
	{"rr: own write of a parallel branch", `
		r1 a n1 rr write k x1
		r2 a n1 rr read k x1
		r2 b<a n1 rr write k x2
		r2 c<a n2 rr write k x3
		r2 d<b<c n3 rr read k x2
		r2 c<a n2 rr read k x3`},
	{"rr: a failed run and an attempt that did not count", `
		r1 a n1 rr write k x1
		r1 b<a n1 rr write k x2
		r2 a n1 rr read k x1
		r2 a n1 rr read k x2
		end r2 failed
		r3 a n1 rr read k x1
		r3 a n2 rr read k x2 att=1
		end r3 ok a=1`},
	{"rr: own unknown write may be missing", `
		r1 a n1 rr write k x1 unknown
		r1 a n1 rr read k -`},
	{"rr: a counter and own increments", `
		r0 a n1 rr increment c i0
		r1 a n1 rr count c 1
		r1 b<a n1 rr increment c i1
		r1 c<a n1 rr increment c i2
		r1 b<a n1 rr count c 2
		r1 d<b<c n1 rr count c 3
		final c #3`},
	{"counter: unknown counted or not, re-executed counted once", `
		r1 a n1 lww increment c i1
		r1 a n2 lww increment c i1 att=1
		r2 a n1 lww increment c i2 unknown
		r3 a n1 lww increment c i3 failed
		end r1 ok a=1
		final c #1`},
	{"sk: siblings, merged, and a delete", `
		r1 a n1 sk write k x1 t=10-20
		r2 a n2 sk write k x2 t=10-20
		r3 a n1 sk read k x1
		r3 b<a n2 sk read k x1,x2
		r3 c<b n2 sk write k x3 rep=x1,x2
		r4 a n1 sk read k x3
		r5 a n1 sk write j y1
		r5 a n1 sk delete j d1 rep=y1
		r5 a n1 sk read j -
		final k x3
		final j -`},
	{"sk: a concurrent version is not older", `
		r1 a n1 sk write k x1 t=10-20
		r2 a n2 sk write k x2 t=10-20
		r3 a n1 sk read k x1
		r3 b<a n2 sk read k x2
		final k x2,x1`},
	{"sk: superseded by an unknown write that is there", `
		r1 a n1 sk write k x1
		r2 a n1 sk write k x2 rep=x1 unknown
		final k x2`},
	{"sk: other keys do not matter", `
		r1 a n1 sk write k x1
		r1 a n1 sk write j y1
		r2 a n2 sk read j y1
		r2 a n2 sk read k -`},
	{"mk: another node, and an overlapping read", `
		r1 a n1 mk write k x1
		r1 a n1 mk write j y1
		r2 a n2 mk read j y1 t=50-60
		r2 b<a n3 mk read k - t=70-80
		r3 a n2 mk read k - t=55-65`},
	{"mk: an unknown write that nobody saw orders nothing", `
		r1 a n1 mk write k x1 unknown
		r1 a n1 mk write j y1
		r2 a n2 mk read j y1
		r2 a n2 mk read k -`},
	{"mk: a delete may be what a read of nothing saw", `
		r1 a n1 mk write k x1
		r1 a n1 mk write j y1
		r2 a n2 mk read j y1
		r3 a n3 mk delete k d1 rep=x1
		r4 a n2 mk read k -`},
	{"dsc: a snapshot while others write", `
		r1 a n1 dsc write k x1
		r1 b<a n1 dsc write j y1
		r2 a n2 dsc read k x1
		r3 a n1 dsc write k x3 rep=x1
		r3 b<a n1 dsc write j y3 rep=y1
		r2 b<a n3 dsc read j y1
		r2 c<b n3 dsc write k x2 rep=x1
		r2 d<c n3 dsc read k x2
		final k x2,x3`},
	{"dsc: its own write came back through another run", `
		r0 a n1 dsc write k x0
		r1 a n1 dsc read k x0
		r1 b<a n1 dsc write k x1 rep=x0
		r2 a n2 dsc read k x1
		r2 b<a n2 dsc write j y2
		r1 c<b n3 dsc read j y2
		r1 d<c n3 dsc read k x1`},
	{"dsc: siblings that one session wrote without looking", `
		r1 a n1 dsc write k x1
		r1 b<a n1 dsc write j y1
		r2 a n2 dsc read j y1
		r2 b<a n2 dsc write k x2
		r3 a n2 dsc read k x1,x2
		final k x1,x2`},
	{"strong: overlapping, unknown, a counter", `
		r0 a n1 strong write k x0
		r1 a n1 strong write k x1 t=20-100
		r2 a n2 strong read k x0 t=30-40
		r3 a n3 strong read k x1 t=50-60
		r4 a n3 strong write k x4 t=110- unknown
		r5 a n3 strong read k x1 t=120-130
		r5 a n3 strong read k x4 t=140-150
		r6 a n3 strong write k x6 t=160- unknown
		r1 b n1 strong increment c i1 t=20-100
		r2 b n2 strong count c 1 t=30-40
		r2 b n2 strong increment c i2 t=50- unknown
		r2 b n2 strong count c 1 t=60-70
		r2 b n2 strong count c 2 t=80-90
		final k x4
		final c #2`},
	{"strong: deleted", `
		r1 a n1 strong write k x1
		r1 a n1 strong delete k d1
		r2 a n2 strong read k -
		r1 a n1 strong write k x2
		final k x2`},
	{"txn: one after the other", `
		r0 a n1 lww write {t}x x0
		r1 a n1 txn read {t}x x0
		r1 a n1 txn write {t}x x1 rep=x0
		r1 b<a n1 txn read {t}y -
		r1 b<a n1 txn write {t}y y1
		r2 a n2 txn read {t}x x1
		r2 b<a n2 txn read {t}y y1
		r2 b<a n2 txn write {t}y y2 rep=y1
		r3 a n2 txn read {t}x x1
		r3 a n2 txn read {t}y y1
		final {t}x x1
		final {t}y y2`},
	{"txn: two tags are two worlds", `
		r1 a n1 txn write {t}x x1
		r1 a n1 txn write {u}y y1
		r2 a n2 txn read {t}x x1
		r2 a n2 txn read {u}y -`},
	{"txn: failed, and unknown without effect", `
		r1 a n1 txn read {t}x -
		r1 a n1 txn write {t}x x1
		r2 a n1 txn read {t}x -
		r2 a n1 txn write {t}x x2
		r3 a n1 txn read {t}x -
		r3 a n1 txn write {t}x x3 unknown
		end r2 failed
		end r3 unknown
		final {t}x x1`},
	{"txn: an attempt that did not count, and committed", `
		r1 a n1 txn read {t}x -
		r1 a n1 txn write {t}x x1
		r1 a n1 txn read {t}x x1 att=1
		r1 a n1 txn write {t}x x2 rep=x1 att=1
		end r1 ok a=1
		final {t}x x2`},
}

// TestCleanHistoriesPass: what the levels allow is not reported.
func TestCleanHistoriesPass(t *testing.T) {
	for _, tc := range fine {
		t.Run(tc.name, func(t *testing.T) {
			if found := check(t, script(t, tc.script)); len(found) > 0 {
				t.Fatal(found)
			}
		})
	}
}
