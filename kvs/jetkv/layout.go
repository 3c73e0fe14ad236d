package jetkv

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/squall-faas/squall/fault"
)

// The layout says which stream owns which slots. It is part of every stream's metadata, so it is there exactly when the
// stream is; SQUALL_KV_0 is made first, so two processes that begin with different numbers of shards meet there, and
// one of them is refused.
const (
	layoutKey     = "squall-layout"
	layoutVersion = 1
)

type layout struct {
	Version int `json:"version"`
	Shards  int `json:"shards"`
	Slots   int `json:"slots"`
}

func streamName(i int) string { return fmt.Sprintf("SQUALL_KV_%d", i) }

// streamConfig is shard i of shards.
func streamConfig(c Config, i, shards int) (jetstream.StreamConfig, error) {
	note, err := json.Marshal(layout{Version: layoutVersion, Shards: shards, Slots: slots})
	if err != nil {
		return jetstream.StreamConfig{}, fault.New(fault.Internal, "encode the layout: %w", err)
	}
	per := digits / shards
	var subjects []string
	for _, space := range []Space{User, System} {
		for d := i * per; d < (i+1)*per; d++ {
			subjects = append(subjects, fmt.Sprintf("squall.*.%s.%x.>", space, d), fmt.Sprintf("squall.*.%sc.%x.>", space, d))
		}
	}
	storage := jetstream.FileStorage
	if c.Memory {
		storage = jetstream.MemoryStorage
	}
	return jetstream.StreamConfig{
		Name:               streamName(i),
		Description:        "Squall's key-value store",
		Subjects:           subjects,
		Storage:            storage,
		Replicas:           max(c.Replicas, 1),
		MaxMsgsPerSubject:  1, // the last version of a key
		Discard:            jetstream.DiscardNew,
		Duplicates:         100 * time.Millisecond, // the least there is: nothing here sends message ids
		AllowDirect:        true,
		AllowMsgTTL:        true,
		AllowAtomicPublish: true,
		RePublish:          republish(),
		Metadata:           map[string]string{layoutKey: string(note)},
	}, nil
}

// openStreams makes the streams that are missing and checks those that are there. Several processes may do it at once.
func (s *Store) openStreams(ctx context.Context) error {
	first, n, err := s.openStream(ctx, 0, s.cfg.Shards)
	if err != nil {
		return err
	}
	s.shards = append(s.shards, first)
	for i := 1; i < n; i++ {
		next, _, err := s.openStream(ctx, i, n)
		if err != nil {
			return err
		}
		s.shards = append(s.shards, next)
	}
	return nil
}

// openStream gives shard i, and of how many it is one; shards 0 leaves that to the stream.
func (s *Store) openStream(ctx context.Context, i, shards int) (sh *shard, of int, err error) {
	var stream jetstream.Stream
	err = s.retry(ctx, "open the store", func(ctx context.Context) error {
		stream, err = s.js.Stream(ctx, streamName(i))
		if !errors.Is(err, jetstream.ErrStreamNotFound) {
			return err
		}
		n := shards
		if n == 0 {
			n = DefaultShards
		}
		cfg, err := streamConfig(s.cfg, i, n)
		if err != nil {
			return err
		}
		stream, err = s.js.CreateStream(ctx, cfg)
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			stream, err = s.js.Stream(ctx, streamName(i)) // another process made it, in its own way
		}
		return err
	})
	if err != nil {
		return nil, 0, err
	}
	info := stream.CachedInfo()
	if of, err = s.checkStream(info.Config, i, shards); err != nil {
		return nil, 0, err
	}
	if cfg := info.Config; s.cfg.Replicas > cfg.Replicas || cfg.RePublish == nil || !cfg.AllowAtomicPublish {
		cfg.Replicas = max(cfg.Replicas, s.cfg.Replicas)
		cfg.RePublish, cfg.AllowAtomicPublish = republish(), true // streams of an earlier version have neither
		if err := s.retry(ctx, "update the store", func(ctx context.Context) error {
			_, err := s.js.UpdateStream(ctx, cfg)
			return err
		}); err != nil {
			return nil, 0, err
		}
		if stream, err = s.stream(ctx, i); err != nil {
			return nil, 0, err
		}
	}
	sh = s.newShard(stream, i, of)
	sh.seen(info.State.LastSeq)
	if info.Config.Replicas == 1 && sh.replicated.Load() {
		if err := s.barAll(ctx, sh); err != nil {
			return nil, 0, err
		}
	}
	return sh, of, nil
}

func (s *Store) stream(ctx context.Context, i int) (stream jetstream.Stream, err error) {
	err = s.retry(ctx, "open the store", func(ctx context.Context) (err error) {
		stream, err = s.js.Stream(ctx, streamName(i))
		return err
	})
	return stream, err
}

// checkStream refuses a stream that is not shard i of shards as this version lays it out, and changes nothing.
func (s *Store) checkStream(have jetstream.StreamConfig, i, shards int) (of int, err error) {
	note, ok := have.Metadata[layoutKey]
	if !ok {
		return 0, fault.New(fault.InvalidArgument, "stream %s was not made by Squall: rename it, or give Squall a NATS account of its own", have.Name)
	}
	var l layout
	if err := json.Unmarshal([]byte(note), &l); err != nil {
		return 0, fault.New(fault.Unsupported, "the layout %.60q of stream %s cannot be read: upgrade this node: %w", note, have.Name, err)
	}
	if l.Version != layoutVersion || l.Slots != slots {
		return 0, fault.New(fault.Unsupported, "the store has layout version %d with %d slots: this node knows version %d with %d; upgrade it", l.Version, l.Slots, layoutVersion, slots)
	}
	if shards != 0 && l.Shards != shards {
		return 0, fault.New(fault.InvalidArgument, "the store has %d shards and not %d: open it with that number or with 0; it cannot be changed", l.Shards, shards)
	}
	switch l.Shards {
	case 1, 2, 4, 8, 16:
	default:
		return 0, fault.New(fault.Unsupported, "the store has %d shards, which this node does not know: upgrade it", l.Shards)
	}
	want, err := streamConfig(s.cfg, i, l.Shards)
	if err != nil {
		return 0, err
	}
	slices.Sort(want.Subjects)
	subjects := slices.Sorted(slices.Values(have.Subjects))
	switch {
	case have.Storage != want.Storage && s.cfg.Memory:
		return 0, fault.New(fault.InvalidArgument, "the store is on disk: open it without the memory setting")
	case have.Storage != want.Storage:
		return 0, fault.New(fault.InvalidArgument, "the store is in the servers' memory and survives no restart: open it with the memory setting, or delete its streams")
	case !slices.Equal(subjects, want.Subjects), have.MaxMsgsPerSubject != 1, !have.AllowDirect, !have.AllowMsgTTL, have.MaxAge != 0,
		have.Retention != jetstream.LimitsPolicy, have.SubjectDeleteMarkerTTL != 0, have.Mirror != nil, have.Sealed:
		return 0, fault.New(fault.InvalidArgument, "stream %s was changed: give it back the subjects and settings of a Squall store", have.Name)
	case have.RePublish != nil && *have.RePublish != *want.RePublish:
		return 0, fault.New(fault.InvalidArgument, "stream %s republishes elsewhere: take that setting away, and Squall puts its own there", have.Name)
	case have.PersistMode != jetstream.DefaultPersistMode:
		return 0, fault.New(fault.InvalidArgument, "stream %s acknowledges writes before they are on disk: give it back the default persist mode", have.Name)
	}
	return l.Shards, nil
}
