package jetkv

import (
	"context"
	"encoding/base64"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs"
)

// A listing asks the servers for the subjects of a span of slots, which they have in memory, and reads no messages but
// those of keys that cannot be told from their subjects. Keys are ordered by slot and token, which never change, so a
// key that exists throughout is in exactly one page, whatever happens to others or to its value.

const (
	// maxSpans bounds the requests that one page makes: at 4,096 slots a listing of few keys among many ends soon
	// enough with short pages.
	maxSpans = 256
	// lookups is how many keys at a time are looked at.
	lookups = 8
)

// estimate is about how many subjects a stream has.
type estimate struct {
	subjects atomic.Uint64
	at       atomic.Int64 // UnixNano
}

// position is a place in the order of keys: "<h>.<hh>.<token>", or a prefix of it.
type position string

func startOf(slot int) position {
	h := fmt3(slot)
	return position(h[:1] + "." + h[1:] + ".")
}

func (p place) position() position { return startOf(p.slot) + position(p.token) }

// List returns a page of keys.
func (s *Store) List(ctx context.Context, prefix kvs.Key, cursor string, limit int) (kvs.Page, error) {
	if err := s.begin(ctx); err != nil {
		return kvs.Page{}, err
	}
	defer s.end()
	if err := kvs.CheckLimit(limit); err != nil {
		return kvs.Page{}, err
	}
	slot, after, err := parseCursor(cursor)
	if err != nil {
		return kvs.Page{}, err
	}
	var page kvs.Page
	for range maxSpans {
		filter, next, err := s.span(ctx, slot, limit)
		if err != nil {
			return kvs.Page{}, err
		}
		found, err := s.subjects(ctx, s.shardOf(place{slot: slot}), filter)
		if err != nil {
			return kvs.Page{}, err
		}
		found = slices.DeleteFunc(found, func(c candidate) bool {
			return c.position() <= after || !c.hashed && !strings.HasPrefix(string(c.key), string(prefix))
		})
		for len(found) > 0 {
			n := min(limit-len(page.Keys), len(found))
			keys, err := s.resolve(ctx, found[:n], prefix)
			if err != nil {
				return kvs.Page{}, err
			}
			page.Keys = append(page.Keys, keys...)
			if len(page.Keys) == limit {
				page.Next = makeCursor(found[n-1].position())
				return page, nil
			}
			found = found[n:]
		}
		if next == slots {
			return page, nil
		}
		slot, after = next, startOf(next)
	}
	page.Next = makeCursor(after)
	return page, nil
}

// span chooses what to ask for at slot: the rest of its stream, of the slots with its first digit, or it alone, so that
// the answer is not much longer than a page. next is the first slot beyond.
func (s *Store) span(ctx context.Context, slot, limit int) (filter string, next int, err error) {
	sh := s.shardOf(place{slot: slot})
	n, err := s.countSubjects(ctx, sh)
	if err != nil {
		return "", 0, err
	}
	perDigit := slots / digits
	perStream := slots / len(s.shards)
	enough := uint64(max(4*limit, 1024))
	root := "squall." + s.cfg.Namespace + "." + string(s.cfg.Space) + "."
	h := fmt3(slot)
	switch {
	case n <= enough:
		return root + ">", (slot/perStream + 1) * perStream, nil
	case n/uint64(digits/len(s.shards)) <= enough:
		return root + h[:1] + ".>", (slot/perDigit + 1) * perDigit, nil
	}
	return root + h[:1] + "." + h[1:] + ".>", slot + 1, nil
}

// countSubjects is how many subjects the stream had some seconds ago at most.
func (s *Store) countSubjects(ctx context.Context, sh *shard) (uint64, error) {
	if time.Since(time.Unix(0, sh.estimate.at.Load())) > 2*time.Second {
		if _, err := s.info(ctx, sh, ""); err != nil {
			return 0, err
		}
	}
	return sh.estimate.subjects.Load(), nil
}

// info asks the stream's leader about the stream, and for the subjects under filter if there is one.
func (s *Store) info(ctx context.Context, sh *shard, filter string) (*jetstream.StreamInfo, error) {
	var opts []jetstream.StreamInfoOpt
	if filter != "" {
		opts = append(opts, jetstream.WithSubjectFilter(filter))
	}
	var info *jetstream.StreamInfo
	err := s.retry(ctx, "list", func(ctx context.Context) (err error) {
		info, err = sh.stream.Info(ctx, opts...)
		return err
	})
	if err != nil {
		return nil, err
	}
	sh.seen(info.State.LastSeq)
	sh.replicated.Store(info.Config.Replicas > 1)
	sh.estimate.subjects.Store(info.State.NumSubjects)
	sh.estimate.at.Store(time.Now().UnixNano())
	return info, nil
}

// candidate is a key with something stored under it.
type candidate struct {
	place
	key   kvs.Key // unless hashed
	doubt bool    // it may be a tombstone
}

// subjects gives the keys under filter in their order.
func (s *Store) subjects(ctx context.Context, sh *shard, filter string) ([]candidate, error) {
	info, err := s.info(ctx, sh, filter)
	if err != nil {
		return nil, err
	}
	root := len("squall.") + len(s.cfg.Namespace) + 1 + len(s.cfg.Space) + 1
	found := make([]candidate, 0, len(info.State.Subjects))
	for subject := range info.State.Subjects {
		p, mark, ok := parsePlace(subject[min(root, len(subject)):])
		if !ok || mark != "" {
			continue
		}
		p.subject = subject
		_, doubt := info.State.Subjects[subject+markDeleted]
		key, _, _ := decodeToken(p.token)
		found = append(found, candidate{place: p, key: key, doubt: doubt})
	}
	slices.SortFunc(found, func(a, b candidate) int { return strings.Compare(string(a.position()), string(b.position())) })
	return found, nil
}

// resolve gives those of the candidates that are keys which begin with prefix, looking into the doubtful ones.
func (s *Store) resolve(ctx context.Context, all []candidate, prefix kvs.Key) ([]kvs.Key, error) {
	alive := make([]bool, len(all))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(lookups)
	for i := range all {
		c := &all[i]
		if alive[i] = !c.doubt && !c.hashed; alive[i] {
			continue
		}
		g.Go(func() error {
			f, err := s.read(gctx, c.place)
			if (isCorrupt(err) || fault.Is(err, fault.Unsupported)) && !c.hashed {
				alive[i] = true // it is there, and Get says what is wrong with it
				return nil
			}
			if err != nil {
				return err
			}
			if c.hashed && f.rec != nil {
				c.key = kvs.Key(f.rec.Key)
			}
			alive[i] = f.live() && strings.HasPrefix(string(c.key), string(prefix))
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	keys := make([]kvs.Key, 0, len(all))
	for i, c := range all {
		if alive[i] {
			keys = append(keys, c.key)
		}
	}
	return keys, nil
}

// A cursor is the position of the last key that was looked at, in base64.
func makeCursor(at position) string { return base64.RawURLEncoding.EncodeToString([]byte(at)) }

// parseCursor gives the slot to go on in, and the position in it.
func parseCursor(c string) (slot int, after position, err error) {
	if c == "" {
		return 0, "", nil
	}
	b, err := base64.RawURLEncoding.DecodeString(c)
	if err != nil {
		return 0, "", kvs.BadCursor()
	}
	at := string(b)
	if len(at) == len("0.00.") {
		at += "x" // the start of a slot
	}
	p, mark, ok := parsePlace(at)
	if !ok || mark != "" {
		return 0, "", kvs.BadCursor()
	}
	return p.slot, position(b), nil
}
