package jetkv

import (
	"context"

	"github.com/cespare/xxhash/v2"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs"
)

// Head is Get that leaves a value that lies in chunks where it is: its record says which bytes it has.
func (s *Store) Head(ctx context.Context, key kvs.Key) (kvs.Headed, error) {
	if err := s.begin(ctx); err != nil {
		return kvs.Headed{}, err
	}
	defer s.end()
	if err := key.Check(); err != nil {
		return kvs.Headed{}, err
	}
	p := s.locate(key)
	f, err := s.read(ctx, p)
	if err != nil {
		return kvs.Headed{}, err
	}
	if f.live() && f.rec.Part != 0 && f.holds(p, key) {
		return s.headed(p, key, f), nil
	}
	e, err := s.settle(ctx, p, key, f)
	if err == nil && (e.Revision == 0 || e.Deleted) {
		err = fault.New(fault.NotFound, "there is no value under key %.64q: put one first, or correct the key", string(key))
	}
	if err != nil {
		return kvs.Headed{}, err
	}
	return kvs.Headed{Entry: e, Size: int64(e.Value.Size())}, nil
}

// headed is the head of a value in chunks.
func (s *Store) headed(p place, key kvs.Key, f found) kvs.Headed {
	h := kvs.Headed{Entry: f.about(key), Size: int64(f.rec.Size)}
	h.Rest = func(ctx context.Context) (kvs.Entry, error) {
		if err := s.begin(ctx); err != nil {
			return kvs.Entry{}, err
		}
		defer s.end()
		e, err := s.settle(ctx, p, key, f)
		if err == nil && (e.Revision == 0 || e.Deleted) { // it was deleted while its chunks were read
			err = fault.New(fault.NotFound, "there is no value under key %.64q any more", string(key))
		}
		return e, err
	}
	h.With = func(payload []byte) (kvs.Entry, error) {
		if uint64(len(payload)) != f.rec.Size {
			return kvs.Entry{}, fault.New(fault.Unavailable, "%d bytes for key %.64q, whose value has %d", len(payload), string(key), f.rec.Size)
		}
		for n, sum := range f.rec.Sums {
			if from, to := f.rec.chunk(n); xxhash.Sum64(payload[from:to]) != sum {
				return kvs.Entry{}, fault.New(fault.Unavailable, "bytes %d to %d are not those of the value of key %.64q", from, to, string(key))
			}
		}
		e := h.Entry
		var err error
		e.Value, err = f.rec.value(payload)
		return e, err
	}
	return h
}
