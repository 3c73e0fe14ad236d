package version_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/natsconn"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/kvs/jetkv"
	"github.com/squall-faas/squall/kvs/lattice"
	"github.com/squall-faas/squall/kvs/version"
	"github.com/squall-faas/squall/value"
)

// The same Writers over JetStream: batches, conflicts, tombstones and transactions are the real ones.
func TestWriterOverJetStream(t *testing.T) {
	srv, err := natsconn.Embed(natsconn.ServerOptions{StoreDir: t.TempDir(), Durability: natsconn.Interval})
	must(t, err)
	t.Cleanup(srv.Shutdown)
	ws := make([]*version.Writer, 2)
	for i := range ws { // each with a store of its own, as two processes have
		conn, err := srv.Dial(t.Context(), natsconn.Options{})
		must(t, err)
		t.Cleanup(conn.Close)
		store, err := jetkv.Open(t.Context(), conn, jetkv.Config{Namespace: "test", Timeout: time.Minute})
		must(t, err)
		t.Cleanup(func() { must(t, store.Close()) })
		ws[i] = newWriter(t, store, func(c *version.WriterConfig) { c.Skewed = nil })
	}
	ctx, one := t.Context(), must2(lattice.ParseOp("add", "1"))

	const writers, each = 96, 4
	atOnce(writers, func(i int) { // hot keys, and one of each writer's own: more at once than go singly
		for range each {
			for _, key := range []kvs.Key{"hot", kvs.Key(fmt.Sprint("{x}", i)), kvs.Key(fmt.Sprint("{x}", i%8, "-shared"))} {
				if _, err := ws[i%2].Update(ctx, key, one, version.WriteOptions{}); err != nil {
					t.Error(err)
				}
			}
		}
	})
	holds(t, ws[0], "hot", writers*each)
	for i := range writers {
		holds(t, ws[1], kvs.Key(fmt.Sprint("{x}", i)), each)
	}
	for i := range 8 {
		holds(t, ws[0], kvs.Key(fmt.Sprint("{x}", i, "-shared")), writers/8*each)
	}

	for i := range 20 { // over deletes, by turns
		putTo(t, ws[i%2], "k", i)
		holds(t, ws[1-i%2], "k", i)
		if i%3 == 0 {
			_, err := ws[1-i%2].Delete(ctx, "k", version.WriteOptions{})
			must(t, err)
		}
	}
	putTo(t, ws[0], "s", "a", version.WriteOptions{Level: kvs.SingleKey})
	putTo(t, ws[1], "s", "b", version.WriteOptions{Level: kvs.SingleKey})
	v := holds(t, ws[0], "s", "b", "a")
	putTo(t, ws[0], "s", "c", version.WriteOptions{Level: kvs.SingleKey, Revision: v.Revision})
	holds(t, ws[1], "s", "c")

	var won atomic.Int64
	atOnce(16, func(i int) {
		_, err := ws[i%2].Put(ctx, "once", value.MustOf(i), version.WriteOptions{Create: true})
		if err == nil {
			won.Add(1)
		} else if !fault.Is(err, fault.Conflict) {
			t.Error(err)
		}
		err = ws[i%2].Txn(ctx, func(x *version.Txn) error {
			if err := change(ctx, x, "from{7}", -1); err != nil {
				return err
			}
			if err := x.Delete(ctx, "note{7}"); err != nil {
				return err
			}
			return change(ctx, x, "to{7}", 1)
		})
		if err != nil {
			t.Error(err)
		}
	})
	if won.Load() != 1 {
		t.Errorf("%d created the key", won.Load())
	}
	holds(t, ws[0], "from{7}", -16)
	holds(t, ws[1], "to{7}", 16)
}
