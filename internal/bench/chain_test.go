package bench

import "testing"

// TestChainQuick: every value is judged by the suite; the slopes of so few calls are noise.
func TestChainQuick(t *testing.T) {
	r, err := Chain{Options: quick(t, "hop_local/1024", "hop_apart/1024", "hop_local/1048576")}.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	has(t, r, [][2]string{{"hop_local/1024", "chain of 3"}, {"hop_apart/1024", "chain of 3"}, {"hop_local/1048576", "chain of 3"}})
	if len(r.Rows) != 6 {
		t.Errorf("%d rows: %+v", len(r.Rows), r.Rows)
	}
	if b := chainValue(10_000); chainJudged(b) != chainSum(10_000) {
		t.Error("a value is not judged to be itself")
	}
	b := chainValue(10_000)
	b[4097]++
	if chainJudged(b) == chainSum(10_000) || chainJudged(b[:9000]) == chainSum(10_000) {
		t.Error("a changed value is judged to be right")
	}
}
