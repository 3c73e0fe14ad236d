package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/squall-faas/squall/cache/coded"
	"github.com/squall-faas/squall/client"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/backbone"
	"github.com/squall-faas/squall/internal/cluster"
	"github.com/squall-faas/squall/internal/natsconn"
	"github.com/squall-faas/squall/internal/peer"
)

const (
	// lenders lend all the time. The demo's executors do not: it keeps all of them busy, and who is busy lends nothing. Values
	// of runs go to lent memory from three lenders on.
	lenders = 4
	// lenderBytes is what each lends at most; memory is taken only as values come.
	lenderBytes = 256 << 20
	// lendersWait bounds how long the executors may take to hear of the lenders.
	lendersWait = 10 * time.Second
)

// Lent is what went through lent memory.
type Lent struct {
	Puts int64 // intermediates that executors put there
	Gets int64 // reads of them, by the executors they were for
}

// holdNothing has an executor keep nothing for others to pull, so that what does not fit a message goes to lent memory, and
// nothing else does.
func holdNothing() cluster.ExecutorConfig {
	return cluster.ExecutorConfig{HoldBytes: 1, Lend: cluster.Lend{Most: -1, Uncached: true}}
}

// lender lends memory and runs nothing.
type lender struct {
	backbone *backbone.Backbone
	tier     *coded.Tier
	memory   *coded.Lender
}

// lend starts the lenders, and returns when every executor knows them.
func (h *house) lend(ctx context.Context, cfg Config) error {
	for i := range lenders {
		l := &lender{}
		h.lenders = append(h.lenders, l)
		if err := l.start(ctx, h.server, fmt.Sprintf("lender-%d", i), cfg); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, lendersWait)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for _, e := range h.Executors() {
		for len(e.Objects().Lenders()) < lenders {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return fault.New(fault.Unavailable, "executor %s has not heard of all %d lenders: %w", e.Name(), lenders, context.Cause(ctx))
			}
		}
	}
	return nil
}

func (l *lender) start(ctx context.Context, server *natsconn.Server, name string, cfg Config) (err error) {
	l.backbone, err = backbone.Dial(ctx, backbone.Options{Server: server, Conn: natsconn.Options{Name: name}, Logger: cfg.Logger})
	if err != nil {
		return err
	}
	secret, err := peer.Secret(ctx, l.backbone.System)
	if err != nil {
		return err
	}
	l.tier, err = coded.New(coded.Config{
		Namespace: l.backbone.Namespace, Bus: l.backbone.Bus, Store: l.backbone.System, Secret: secret, Logger: cfg.Logger,
	})
	if err != nil {
		return err
	}
	l.memory, err = coded.NewLender(l.tier, coded.LenderConfig{Name: name, Most: lenderBytes, Lend: lenderBytes, Logger: cfg.Logger})
	return err
}

func (l *lender) close() error {
	var errs []error
	if l.memory != nil {
		errs = append(errs, l.memory.Close())
	}
	if l.tier != nil {
		errs = append(errs, l.tier.Close())
	}
	if l.backbone != nil {
		errs = append(errs, l.backbone.Close())
	}
	return errors.Join(errs...)
}

// lentSoFar is what has gone through lent memory on all executors.
func (h *house) lentSoFar() (sum Lent) {
	for _, e := range h.Executors() {
		s := e.Objects().Stats()
		sum.Puts += s.Puts
		sum.Gets += s.Gets
	}
	return sum
}

// bundleBytes is about how much source one call counts: its tally has to be of 256 KiB, or it goes along in a message.
const bundleBytes = 6 << 20

// putBundles is put of several files under each key, as a list of them. A bundle has files from everywhere: neighbours use
// the same words, and their tally would be small.
func (d *demo) putBundles(ctx context.Context, prefix string, files []file) (refs []client.Ref, bytes int64, err error) {
	began := time.Now()
	for _, f := range files {
		bytes += f.size
	}
	n := int(1 + bytes/bundleBytes)
	for i := range min(n, len(files)) {
		var bundle [][]byte
		for k := i; k < len(files); k += n {
			data, err := os.ReadFile(files[k].path)
			if err != nil {
				return nil, 0, fault.New(fault.InvalidArgument, "read the input: %w", err)
			}
			bundle = append(bundle, data)
		}
		refs = append(refs, client.Ref(fmt.Sprintf("%sbundle-%d", prefix, i)))
		if err := d.Client.Put(ctx, string(refs[i]), bundle); err != nil {
			return nil, 0, err
		}
	}
	d.phase("put", time.Since(began), "%d bundles of files, %s, each under a key of the store", len(refs), megabytes(bytes))
	return refs, bytes, nil
}

// lentSince prints and gives what has gone through lent memory since before, where the demo has some.
func (d *demo) lentSince(before Lent) Lent {
	if !d.lent {
		return Lent{}
	}
	now := d.lentSoFar()
	now.Puts -= before.Puts
	now.Gets -= before.Gets
	d.line("  %d intermediates went through lent memory, and were read there %d times.", now.Puts, now.Gets)
	return now
}
