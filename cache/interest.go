package cache

import (
	"context"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs"
)

const (
	// lanes is how many keys' interest is declared side by side: each may take a round trip to the store's servers.
	lanes = 16
	// laneLength is how many keys may wait in one lane.
	laneLength = 4096
	// laneBatch is how many keys of a lane are declared together.
	laneBatch = 256
)

// interest keeps what the store's feed follows in line with what this node wants to hear of: what it holds, reads and
// writes. Whenever that may have changed for a key, the key is looked at, in its lane: so the changes of one key come in
// order, and no lock is held while the feed is told. The first look at a key that is read is made beside the read, and the
// read does not end before it; the first at a key that is written is made before the write is stored, beside the question
// what is stored already.
type interest struct {
	c     *Cache
	lanes [lanes]chan look
	// busy is held by whoever tells the feed of keys of a lane, so that what is told of one key comes in order. Several are
	// locked by their numbers.
	busy [lanes]sync.Mutex
	// lost is filled when a lane was full: what is followed is not what is wanted any more, and the feed is to be made anew.
	lost chan struct{}
}

// look asks for a key to be looked at. done, where there is one, is closed then.
type look struct {
	key  kvs.Key
	done chan struct{}
}

func (i *interest) init(c *Cache) {
	i.c, i.lost = c, make(chan struct{}, 1)
	for n := range i.lanes {
		i.lanes[n] = make(chan look, laneLength)
	}
}

// lookLocked has a key looked at, if this node may not want it any more.
func (i *interest) lookLocked(s *shard, h uint64, key kvs.Key) {
	if !s.wantedLocked(h, key) {
		i.look(h, look{key: apart(key)})
	}
}

// look queues a key. It does not block.
func (i *interest) look(h uint64, l look) {
	select {
	case i.lanes[laneOf(h)] <- l:
		return
	default:
	}
	if l.done != nil {
		close(l.done)
	}
	select {
	case i.lost <- struct{}{}:
	default:
	}
}

func laneOf(h uint64) int { return int(h >> 58 % lanes) }

// begin queues a key that is read or written from now on. The channel is closed when the feed has been told.
func (i *interest) begin(h uint64, key kvs.Key) chan struct{} {
	l := look{key: key, done: make(chan struct{})}
	i.look(h, l)
	return l.done
}

// beginMany tells the feed of keys that are read from now on, all together. The channel is closed when that is done, which the
// feed bounds. Whoever reads may do so while the cache closes, so this is none of the work that Close waits for.
func (i *interest) beginMany(keys []kvs.Key) chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		var used [lanes]bool
		for _, key := range keys {
			used[laneOf(i.c.hash(key))] = true
		}
		for n := range used {
			if used[n] {
				i.busy[n].Lock()
				defer i.busy[n].Unlock()
			}
		}
		i.add(keys)
	}()
	return done
}

// awaitFollowed waits until changes of a key will be heard, where somebody has to be told first.
func awaitFollowed(ctx context.Context, followed <-chan struct{}) error {
	if followed == nil {
		return nil
	}
	select {
	case <-followed:
		return nil
	case <-ctx.Done():
		return fault.From(ctx.Err())
	}
}

// run works off a lane until the cache closes.
func (i *interest) run(n int) {
	lane := i.lanes[n]
	var some []look
	for {
		select {
		case l := <-lane:
			some = append(some[:0], l)
			for more := true; more && len(some) < laneBatch; {
				select {
				case l := <-lane:
					some = append(some, l)
				default:
					more = false
				}
			}
			i.busy[n].Lock()
			i.tell(some)
			i.busy[n].Unlock()
			for _, l := range some {
				if l.done != nil {
					close(l.done)
				}
			}
		case <-i.c.life.Done():
			return
		}
	}
}

// tell looks at some keys of a lane. What is not wanted is looked for last: a key may be among them twice, and not be wanted
// any more.
func (i *interest) tell(some []look) {
	add := make([]kvs.Key, 0, len(some))
	for _, l := range some {
		if l.key != "" && i.wanted(l.key) {
			add = append(add, l.key)
		}
	}
	feed := i.add(add)
	for _, l := range some {
		if l.key != "" && !i.wanted(l.key) {
			feed.Remove(l.key)
		}
	}
}

// add adds keys to the feed, which it gives.
func (i *interest) add(keys []kvs.Key) kvs.Feed {
	feed := *i.c.feed.Load()
	if len(keys) == 0 {
		return feed
	}
	if err := feed.Add(keys...); err != nil {
		// If the feed is lost, all keys are added to the next one. If the store does not answer, the periodic check finds
		// what changes.
		i.c.log.Debug("keys are not followed", "keys", len(keys), "err", err)
	}
	return feed
}

func (i *interest) wanted(key kvs.Key) bool {
	h := i.c.hash(key)
	s := i.c.shard(h)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.wantedLocked(h, key)
}

// follow applies what the store pushes until the cache closes. While no feed stands, what is held goes on being served to
// those who take what they get; the periodic check, which needs the store, decides what others may have.
func (c *Cache) follow(feed kvs.Feed) {
	for {
		for p := range feed.Changes() {
			c.pushes.Add(1)
			c.apply(p)
		}
		if c.life.Err() != nil {
			return
		}
		c.log.Warn("the store's feed was lost: until it is back, changes by other nodes are found by the periodic check alone")
		if feed = c.followAgain(); feed == nil {
			return
		}
		c.log.Info("the store is followed again")
	}
}

// followAgain tries until there is a feed; nil once the cache is closed.
func (c *Cache) followAgain() kvs.Feed {
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.MaxInterval = 50*time.Millisecond, 5*time.Second
	for {
		feed, err := c.store.Follow(c.life)
		if err == nil {
			c.feed.Store(&feed)
			if c.closed.Load() {
				feed.Close()
				return nil
			}
			c.work.Go(c.interest.all) // beside the pushes that come already
			return feed
		}
		pause := time.NewTimer(wait.NextBackOff())
		select {
		case <-pause.C:
			c.log.Debug("the store cannot be followed yet", "err", err)
		case <-c.life.Done():
			pause.Stop()
			return nil
		}
	}
}

// all has every key that is wanted looked at, and then everything checked: what changed meanwhile was not pushed.
func (i *interest) all() {
	var keys []kvs.Key
	for n := range i.c.shards {
		s := &i.c.shards[n]
		keys = keys[:0]
		s.mu.Lock()
		for _, cl := range s.cells {
			keys = append(keys, apart(cl.version.Load().Key))
		}
		for key := range s.pending {
			keys = append(keys, key)
		}
		for key := range s.notes {
			keys = append(keys, key)
		}
		s.mu.Unlock()
		for _, key := range keys {
			select {
			case i.lanes[laneOf(i.c.hash(key))] <- look{key: key}:
			case <-i.c.life.Done():
				return
			}
		}
	}
	var last [lanes]chan struct{}
	for n := range last {
		last[n] = make(chan struct{})
		select {
		case i.lanes[n] <- look{done: last[n]}:
		case <-i.c.life.Done():
			return
		}
	}
	for _, done := range last {
		select {
		case <-done:
		case <-i.c.life.Done():
			return
		}
	}
	i.c.checks.now()
}
