package xfer

import (
	"bytes"
	"context"
	"testing"

	"github.com/cespare/xxhash/v2"

	"github.com/squall-faas/squall/fault"
)

// TestSum: the sums of a value do not depend on how many goroutines make them, and each is that of its chunk.
func TestSum(t *testing.T) {
	for _, size := range []int{0, 1, Chunk - 1, Chunk, Chunk + 1, sumAlone, 3*sumAlone + 5} {
		b := random(size)
		s := Sum(b)
		if want := (size + Chunk - 1) / Chunk; len(s) != want {
			t.Fatalf("%d bytes: %d sums, want %d", size, len(s), want)
		}
		for i, x := range s {
			if x != xxhash.Sum64(b[i*Chunk:min((i+1)*Chunk, size)]) {
				t.Errorf("%d bytes: sum %d is wrong", size, i)
			}
		}
		if size > 0 {
			whole := s.Whole(int64(size))
			b[size/2] ^= 1
			if Sum(b).Whole(int64(size)) == whole {
				t.Errorf("%d bytes with one bit changed have the same sum", size)
			}
			if s.Whole(int64(size)+1) == whole {
				t.Errorf("another size has the same sum")
			}
		}
	}
}

// summed is a shelf whose blobs know their sums, from before what is now there.
type summed struct {
	shelf
	sums Sums
}

type summedBytes struct {
	Bytes
	sums Sums
}

func (b summedBytes) Sums() Sums { return b.sums }

func (s summed) Open(ctx context.Context, r Ref) (Blob, error) {
	b, err := s.shelf.Open(ctx, r)
	if err != nil {
		return nil, err
	}
	return summedBytes{b.(Bytes), s.sums}, nil
}

// TestFetchWhole: what comes is what the reference names, or an error, whoever is wrong.
func TestFetchWhole(t *testing.T) {
	value := random(37<<20 + 17) // ranges of four chunks
	sums := Sum(value)
	whole := sums.Whole(int64(len(value)))
	other := bytes.Clone(value)
	other[3<<20] ^= 1
	fetch := func(s Source, whole uint64) error {
		c := dialer(t, ClientConfig{})
		got, err := c.FetchWhole(t.Context(), []string{serve(t, ServerConfig{Source: s}).Addr()}, ref("v"), right("v"), int64(len(value)), whole)
		if err == nil && !bytes.Equal(got, value) {
			t.Error("wrong bytes, and no error")
		}
		return err
	}
	for name, tc := range map[string]struct {
		source Source
		whole  uint64
		code   fault.Code
	}{
		"sums by the server":         {shelf{"v": value}, whole, ""},
		"sums that the server knows": {summed{shelf{"v": value}, sums}, whole, ""},
		"another value":              {shelf{"v": other}, whole, fault.Unavailable},
		"damaged at its holder":      {summed{shelf{"v": other}, sums}, whole, fault.Unavailable},
		"another reference":          {shelf{"v": value}, whole + 1, fault.Unavailable},
	} {
		if err := fetch(tc.source, tc.whole); fault.CodeOf(err) != tc.code {
			t.Errorf("%s: %v, want %q", name, err, tc.code)
		}
	}
}

// sharing is a Source that shares.
type sharing struct {
	shelf
	ticket []byte
	err    error
}

func (s sharing) Share(_ context.Context, r Ref) ([]byte, error) {
	if _, ok := s.shelf[r.Key]; !ok {
		return nil, fault.New(fault.NotFound, "no value %q here", r.Key)
	}
	return s.ticket, s.err
}

func TestShare(t *testing.T) {
	c := dialer(t, ClientConfig{})
	at := serve(t, ServerConfig{Source: sharing{shelf: shelf{"v": random(10)}, ticket: []byte("over there")}}).Addr()
	for range 2 { // the second on the kept connection
		if got, err := c.Share(t.Context(), at, ref("v"), right("v")); err != nil || string(got) != "over there" {
			t.Errorf("%q, %v", got, err)
		}
		if got, err := c.Fetch(t.Context(), []string{at}, ref("v"), right("v"), 10); err != nil || !bytes.Equal(got, random(10)) {
			t.Errorf("%q, %v", got, err)
		}
	}
	if _, err := c.Share(t.Context(), at, ref("x"), right("x")); !fault.Is(err, fault.NotFound) {
		t.Errorf("what is not there: %v", err)
	}
	if _, err := c.Share(t.Context(), at, ref("v"), right("x")); !fault.Is(err, fault.Unauthorized) {
		t.Errorf("with another's capability: %v", err)
	}
	for name, tc := range map[string]struct {
		source Source
		code   fault.Code
	}{
		"shares nothing": {shelf{"v": random(10)}, fault.Unsupported},
		"no memory":      {sharing{shelf: shelf{"v": nil}, err: fault.New(fault.OutOfMemory, "full")}, fault.Unavailable},
		"long ticket":    {sharing{shelf: shelf{"v": nil}, ticket: make([]byte, MaxTicket+1)}, fault.Internal},
	} {
		if _, err := c.Share(t.Context(), serve(t, ServerConfig{Source: tc.source}).Addr(), ref("v"), right("v")); !fault.Is(err, tc.code) {
			t.Errorf("%s: %v, want %q", name, err, tc.code)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Share(ctx, at, ref("v"), right("v")); !fault.Is(err, fault.Cancelled) {
		t.Errorf("cancelled: %v", err)
	}
}
