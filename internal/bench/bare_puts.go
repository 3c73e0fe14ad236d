package bench

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/squall-faas/squall/fault"
)

// barePuts are nats.go alone: the floor of durable writes. Its streams keep one message a subject, as a key-value bucket
// does. end closes its connection.
func (c *cacheRun) barePuts(ctx context.Context, url string) (out []*putting, end func(), err error) {
	nc, err := nats.Connect(url, nats.Name("put-floor"))
	if err != nil {
		return nil, nil, fault.New(fault.Unreachable, "floor: %w", err)
	}
	defer func() {
		if err != nil {
			nc.Close()
		}
	}()
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, nil, fault.New(fault.Internal, "floor: %w", err)
	}
	for name, n := range map[string]int{casePutJetStream: 1, casePutStreams: c.shards} {
		if !c.wanted(name) {
			continue
		}
		streams := make([]jetstream.Stream, n)
		for i := range streams {
			streams[i], err = js.CreateStream(ctx, jetstream.StreamConfig{
				Name: fmt.Sprintf("BENCH_%s_%d", name, i), Subjects: []string{fmt.Sprintf("bench.%s.%d.>", name, i)},
				Storage: jetstream.FileStorage, Replicas: 1, MaxMsgsPerSubject: 1, Discard: jetstream.DiscardNew, AllowDirect: true,
				Duplicates: 100 * time.Millisecond,
			})
			if err != nil {
				return nil, nil, fault.New(fault.Unavailable, "floor: %w", err)
			}
		}
		place := func(key string) (int, string) {
			i := 0
			for _, b := range []byte(key) {
				i = i*31 + int(b)
			}
			i = (i%n + n) % n
			return i, fmt.Sprintf("bench.%s.%d.%s", name, i, subjectToken(key))
		}
		write := func(ctx context.Context, _ int, key string, v []byte) error {
			_, subject := place(key)
			_, err := js.Publish(ctx, subject, v)
			return err
		}
		read := func(ctx context.Context, keys []string) ([][]byte, error) {
			values := make([][]byte, len(keys))
			for i, key := range keys {
				at, subject := place(key)
				m, err := streams[at].GetLastMsgForSubject(ctx, subject)
				if err != nil {
					return nil, err
				}
				values[i] = m.Data
			}
			return values, nil
		}
		out = append(out, c.writersOf(name, write, read)...)
	}
	slices.SortFunc(out, func(a, b *putting) int { return bytes.Compare([]byte(a.name), []byte(b.name)) })
	return out, nc.Close, nil
}

// subjectToken makes a key one token of a subject.
func subjectToken(key string) string {
	return string(bytes.ReplaceAll([]byte(key), []byte("/"), []byte("_")))
}
