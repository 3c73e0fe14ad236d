package jetkv_test

import (
	"bytes"
	"testing"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/natsconn"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/kvs/jetkv"
	"github.com/squall-faas/squall/value"
)

// TestHead: a short value comes with its head, a long one is left where it is; its bytes are taken from elsewhere only where
// they are the version's own, and read from the store as they are then.
func TestHead(t *testing.T) {
	ctx := within(t)
	s, err := jetkv.Open(ctx, dial(t, serve(t, "", natsconn.Memory)), jetkv.Config{Namespace: "head", Space: jetkv.User})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Head(ctx, "none"); !fault.Is(err, fault.NotFound) {
		t.Fatal(err)
	}
	if _, err := s.Put(ctx, "short", value.MustOf("abc"), kvs.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	if h, err := s.Head(ctx, "short"); err != nil || h.Rest != nil || h.Value.Size() != 3 || h.Size != 3 {
		t.Fatalf("%+v %v", h, err)
	}
	long := bytes.Repeat([]byte("0123456789"), 200_000)
	r, err := s.Put(ctx, "long", value.MustOf(long), kvs.PutOptions{Meta: []byte("meta")})
	if err != nil {
		t.Fatal(err)
	}
	h, err := s.Head(ctx, "long")
	if err != nil || h.Rest == nil || h.Revision != r || string(h.Meta) != "meta" || h.Size != int64(len(long)) || h.Written.IsZero() {
		t.Fatalf("%+v %v", h, err)
	}
	is := func(e kvs.Entry, err error, want []byte) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if b, err := value.As[[]byte](e.Value); err != nil || !bytes.Equal(b, want) {
			t.Fatal(len(b), err)
		}
	}
	e, err := h.With(bytes.Clone(long))
	is(e, err, long)
	wrong := bytes.Clone(long)
	wrong[len(wrong)-1]++
	for _, b := range [][]byte{wrong, long[1:]} {
		if _, err := h.With(b); !fault.Is(err, fault.Unavailable) {
			t.Fatal(err)
		}
	}
	e, err = h.Rest(ctx)
	is(e, err, long)
	if _, err := s.Put(ctx, "long", value.MustOf(wrong), kvs.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	e, err = h.Rest(ctx) // the chunks may be gone by now, and the new ones are read; or they are there still
	if err != nil || e.Revision < r {
		t.Fatal(e.Revision, err)
	}
	if err := s.Delete(ctx, "long", 0); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Head(ctx, "long"); !fault.Is(err, fault.NotFound) {
		t.Fatal(err)
	}
}
