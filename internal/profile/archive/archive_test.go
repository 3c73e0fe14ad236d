package archive

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/squall-faas/squall/internal/profile"
	"github.com/squall-faas/squall/internal/wire"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

func newStore(t *testing.T) kvs.Store {
	s := kvs.NewMemory()
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func bookOf(version string, runs int) *profile.Book {
	b := &profile.Book{}
	for i := range runs {
		b.Function(version).Observe(profile.Run{At: int64(i), In: int64(i), Out: 1, Took: time.Millisecond})
	}
	return b
}

func keep(t *testing.T, s kvs.Store, executor string, b *profile.Book) {
	t.Helper()
	if err := Keep(t.Context(), s, executor, b.Encode()); err != nil {
		t.Fatal(err)
	}
}

// TestRecall: what more executors have stored than a page lists comes back as one book, each executor's last one, and what
// cannot be read takes nothing else with it.
func TestRecall(t *testing.T) {
	s := newStore(t)
	if b, err := Recall(t.Context(), s); err != nil || len(b.Versions()) != 0 {
		t.Fatalf("of nothing: %v, %v", b, err)
	}
	const executors = 230
	for i := range executors {
		keep(t, s, fmt.Sprint("executor-", i), bookOf(fmt.Sprint("f", i), 3))
	}
	keep(t, s, "executor-7", bookOf("f7", 5)) // over its last one
	if err := Keep(t.Context(), s, "later release", []byte{255, 1, 2}); err != nil {
		t.Fatal(err)
	}
	other, err := value.Of("no bytes at all")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(t.Context(), kvs.Key(wire.ProfileKey("odd")), other, kvs.PutOptions{}); err != nil {
		t.Fatal(err)
	}

	b, err := Recall(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(b.Versions()); n != executors {
		t.Errorf("%d functions are known of %d", n, executors)
	}
	for i := range executors {
		want := 3
		if i == 7 {
			want = 5
		}
		f := b.Known(fmt.Sprint("f", i))
		if f == nil || f.Runs() != want {
			t.Fatalf("of f%d: %+v, want %d runs", i, f, want)
		}
	}
}

// TestRecallMerges: what two executors have seen of one function is one profile.
func TestRecallMerges(t *testing.T) {
	s := newStore(t)
	keep(t, s, "a", bookOf("f", 4))
	late := &profile.Book{}
	for i := range 6 {
		late.Function("f").Observe(profile.Run{At: int64(100 + i), In: int64(i), Out: 1, Took: time.Millisecond})
	}
	keep(t, s, "b", late)
	b, err := Recall(t.Context(), s)
	if err != nil || b.Known("f").Runs() != 10 {
		t.Errorf("%v, %v", b, err)
	}
}

// TestKeepExpires: a book of an executor that is gone does not stay forever, and storing it again is what keeps it.
func TestKeepExpires(t *testing.T) {
	s := newStore(t)
	keep(t, s, "a", bookOf("f", 1))
	e, err := s.Get(t.Context(), kvs.Key(wire.ProfileKey("a")))
	if err != nil {
		t.Fatal(err)
	}
	if left := time.Until(e.Expires); left <= Kept-time.Minute || left > Kept {
		t.Errorf("it stays for %v", left)
	}
}

// gone is a store that cannot be reached.
type gone struct{ kvs.Store }

var errGone = errors.New("the store is away")

func (gone) List(context.Context, kvs.Key, string, int) (kvs.Page, error) {
	return kvs.Page{}, errGone
}

// TestRecallWithoutStore: an error, and no book that looks as if nothing were known.
func TestRecallWithoutStore(t *testing.T) {
	if b, err := Recall(t.Context(), gone{newStore(t)}); b != nil || !errors.Is(err, errGone) {
		t.Errorf("%v, %v", b, err)
	}
}
