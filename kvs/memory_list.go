package kvs

import (
	"context"
	"encoding/base64"
	"slices"
	"strings"
	"time"
)

// List pages through the shards one after another and through the keys of a shard in order. A key never changes its
// place in that order, so one that exists throughout appears exactly once, whatever else comes and goes.
func (m *Memory) List(ctx context.Context, prefix Key, cursor string, limit int) (Page, error) {
	if err := m.check(ctx); err != nil {
		return Page{}, err
	}
	if err := CheckLimit(limit); err != nil {
		return Page{}, err
	}
	at, after, err := parseMemoryCursor(cursor)
	if err != nil {
		return Page{}, err
	}
	var page Page
	for ; at < memoryShards; at, after = at+1, "" {
		keys := m.shards[at].list(prefix, after)
		if room := limit - len(page.Keys); len(keys) > room {
			page.Keys = append(page.Keys, keys[:room]...)
			page.Next = memoryCursor(at, page.Keys[limit-1])
			return page, nil
		}
		page.Keys = append(page.Keys, keys...)
		if len(page.Keys) == limit && at+1 < memoryShards {
			page.Next = memoryCursor(at+1, "")
			return page, nil
		}
	}
	return page, nil
}

// list gives the shard's keys over after, sorted.
func (s *memoryShard) list(prefix, after Key) []Key {
	now := time.Now()
	var keys []Key
	s.mu.RLock()
	for key, it := range s.keys {
		if key > after && strings.HasPrefix(string(key), string(prefix)) && it.alive(now) {
			keys = append(keys, key)
		}
	}
	s.mu.RUnlock()
	slices.Sort(keys)
	return keys
}

// A cursor is a shard and the last key that was given of it, "" for none.
func memoryCursor(at int, after Key) string {
	return base64.RawURLEncoding.EncodeToString(append([]byte{byte(at)}, after...))
}

func parseMemoryCursor(c string) (at int, after Key, err error) {
	if c == "" {
		return 0, "", nil
	}
	b, err := base64.RawURLEncoding.DecodeString(c)
	if err != nil || len(b) == 0 {
		return 0, "", BadCursor()
	}
	return int(b[0]), Key(b[1:]), nil
}
