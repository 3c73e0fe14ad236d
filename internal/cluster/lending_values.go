package cluster

import (
	"context"
	"slices"
	"time"

	"github.com/squall-faas/squall/cache"
	"github.com/squall-faas/squall/cache/coded"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/offload"
	"github.com/squall-faas/squall/internal/wire"
)

// Keys of the objects that values of runs are, and versions of stored keys, begin so.
const (
	lentPrefix    = coded.Reserved + "off/"
	versionPrefix = coded.Reserved + "kv/"
)

// leastLenders is how many have to be there before values of runs go to lent memory: with fewer, the loss of one loses the
// value.
const leastLenders = 3

// lentValues is the coded tier as the values of runs go through it: offload.Tier.
type lentValues struct{ tier *coded.Tier }

var _ offload.Tier = lentValues{}

// Room implements offload.Tier. What others would lose by it is no room.
func (v lentValues) Room(bytes int64) bool { return room(v.tier, bytes) }

func room(t *coded.Tier, bytes int64) bool {
	free, n := int64(0), 0
	for _, l := range t.Lenders() {
		if !l.Draining && l.Lent > l.Used {
			free += l.Lent - l.Used
			n++
		}
	}
	return n >= leastLenders && free >= 3*bytes // of few lenders of unequal size, one is full before all are
}

// Put implements offload.Tier.
func (v lentValues) Put(ctx context.Context, key string, b []byte, ttl time.Duration) error {
	_, err := v.tier.PutBytes(ctx, lentPrefix+key, b, coded.PutOptions{TTL: ttl, Once: true})
	return err
}

// Get implements offload.Tier.
func (v lentValues) Get(ctx context.Context, key string, limit int64) ([]byte, error) {
	b, _, err := v.tier.GetOnce(ctx, lentPrefix+key, limit)
	return b, err
}

// Drop implements offload.Tier.
func (v lentValues) Drop(keys ...string) {
	all := make([]string, len(keys))
	for i, key := range keys {
		all[i] = lentPrefix + key
	}
	v.tier.Forget(all...) // what stays goes by its TTL
}

// lentVersions is the coded tier as caches read large versions through it: cache.Lent.
type lentVersions struct{ tier *coded.Tier }

var _ cache.Lent = lentVersions{}

// versionPatience bounds how long lent memory may take for each 16 MiB of a version; then the store is asked. The store takes
// about a tenth of that. It is a variable for tests, which run on machines of any speed, under the race detector too.
var versionPatience = 150 * time.Millisecond

// versionPut bounds how long it may take to put one, while others wait.
const versionPut = 10 * time.Second

// Get implements cache.Lent. Where nothing is lent that holds anything, nobody is asked.
func (v lentVersions) Get(ctx context.Context, name string, size int64) ([]byte, error) {
	if !slices.ContainsFunc(v.tier.Lenders(), func(l wire.Lender) bool { return l.Used > 0 }) {
		return nil, errNothingLent
	}
	ctx, cancel := context.WithTimeout(ctx, versionPatience*time.Duration(1+size>>24))
	defer cancel()
	b, _, err := v.tier.GetIfThere(ctx, versionPrefix+name, size)
	return b, err
}

var errNothingLent = fault.New(fault.NotFound, "nothing is in lent memory")

// Put implements cache.Lent. What does not fit without something else leaving is not put: it is in the store.
func (v lentVersions) Put(ctx context.Context, name string, payload []byte, ttl time.Duration) error {
	if !room(v.tier, int64(len(payload))) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, versionPut)
	defer cancel()
	_, err := v.tier.PutBytes(ctx, versionPrefix+name, payload, coded.PutOptions{TTL: ttl, Once: true, IfSeq: new(uint64)})
	if fault.Is(err, fault.Conflict) { // another node was faster
		return nil
	}
	return err
}
