package jetkv

import (
	"context"
	"encoding/binary"
	"errors"

	"golang.org/x/sync/errgroup"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/id"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

// fencing is a fence as a batch to one stream carries it: a probe that expects the writer's fence at mark.
type fencing struct {
	writer  string
	subject string
	mark    uint64
}

// pass is what fence means to stream i; nil for the zero Fence.
func pass(sh *shard, fence kvs.Fence, i int) *fencing {
	if fence.Writer == "" {
		return nil
	}
	return &fencing{writer: fence.Writer, subject: sh.fences + fence.Writer, mark: fence.Marks[i]}
}

// overtaken tells whether a fence found at seq is another than this one. Sequences grow, so one that is lower is the word
// of a server that is behind.
func (f *fencing) overtaken(seq uint64, replicated bool) bool {
	return seq > f.mark || seq != f.mark && !replicated
}

// checkFence refuses a fence that this Store did not make.
func (s *Store) checkFence(f kvs.Fence) error {
	if f.Writer == "" {
		return nil
	}
	if err := id.CheckName("writer", f.Writer); err != nil {
		return err
	}
	if len(f.Marks) != len(s.shards) {
		return kvs.Overtaken(f.Writer)
	}
	return nil
}

// Fence raises the fence of a writer: a record on a subject of its own in each stream, whose sequence is the mark. Its
// sequence in the first stream is the fence's epoch, which the others hold: of two who raise it at once, the one with the
// later epoch gets it in all streams.
func (s *Store) Fence(ctx context.Context, writer string) (kvs.Fence, error) {
	if err := s.begin(ctx); err != nil {
		return kvs.Fence{}, err
	}
	defer s.end()
	if err := id.CheckName("writer", writer); err != nil {
		return kvs.Fence{}, err
	}
	marks := make([]uint64, len(s.shards))
	var err error
	if marks[0], err = s.raise(ctx, s.shards[0], writer, 0, anyRev); err != nil {
		return kvs.Fence{}, err
	}
	if err := s.bar(ctx, s.shards[0], writer, marks[0]); err != nil {
		return kvs.Fence{}, err
	}
	g, gctx := errgroup.WithContext(ctx)
	for i, sh := range s.shards[1:] {
		g.Go(func() error {
			for {
				m, err := s.getLeader(gctx, sh, sh.fences+writer)
				if err != nil {
					return err
				}
				epoch, err := decodeEpoch(m)
				if err != nil {
					return err
				}
				if epoch > marks[0] {
					// Overtaken already: mark 0 is no fence's. Who has overtaken us may not have put up his barriers yet.
					return s.bar(gctx, sh, writer, m.seq)
				}
				mark, err := s.raise(gctx, sh, writer, marks[0], m.seq)
				if errors.Is(err, errExpectation) {
					continue
				}
				if err != nil {
					return err
				}
				marks[i+1] = mark
				return s.bar(gctx, sh, writer, mark)
			}
		})
	}
	if err := g.Wait(); err != nil {
		return kvs.Fence{}, fault.From(err)
	}
	return kvs.Fence{Writer: writer, Marks: marks}, nil
}

// raise stores the fence of an epoch in one stream.
func (s *Store) raise(ctx context.Context, sh *shard, writer string, epoch, expect uint64) (uint64, error) {
	rec := &record{typ: typeValue, header: header{Kind: uint8(value.Bytes), Size: 8, Write: writeID()}}
	rec.payload = binary.BigEndian.AppendUint64(nil, epoch)
	data, err := rec.encode()
	if err != nil {
		return 0, err
	}
	p := place{subject: sh.fences + writer}
	return s.store(ctx, write{what: "fence", sh: sh, p: p, key: kvs.Key(writer), data: data, id: rec.Write, expect: expect})
}

// decodeEpoch reads what raise stored; 0 where there is none.
func decodeEpoch(m stored) (uint64, error) {
	if m.seq == 0 {
		return 0, nil
	}
	rec, err := decodeRecord(m.data)
	if err != nil {
		return 0, err
	}
	if len(rec.payload) != 8 {
		return 0, corrupt("a fence has %d bytes", len(rec.payload))
	}
	return binary.BigEndian.Uint64(rec.payload), nil
}
