package coded

import (
	"context"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/squall-faas/squall/cache/coded/lend"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/wire"
)

// Shards is one column of an object: where it is, and whether it is whole there.
type Shards struct {
	Column int    `json:"column"`
	Parity bool   `json:"parity,omitempty"`
	Lender string `json:"lender"` // its node's name, or the id of one that is gone
	Host   string `json:"host,omitempty"`
	Port   string `json:"port,omitempty"`
	Bytes  int64  `json:"bytes"` // that it should have
	State  string `json:"state"` // whole, part, missing, silent (the lender does not answer), gone
}

// Stat is what is known of an object and its shards.
type Stat struct {
	Info
	Shards []Shards `json:"shards,omitempty"`
	// Lenders and Hosts are how many of those, whichever they are, may go before a Get misses; -1 where it misses already.
	// An object that is stored never misses: it is then read from the store.
	Lenders int `json:"lenders_may_go"`
	Hosts   int `json:"hosts_may_go"`
}

// Head gives what the catalog knows of an object; not_found where there is none. No lender is asked.
func (t *Tier) Head(ctx context.Context, key string) (Info, error) {
	if err := checkKey(key); err != nil {
		return Info{}, err
	}
	o, err := newProof(ctx, t.catalog, key, false).wait(ctx)
	if err != nil {
		return Info{}, err
	}
	return o.info(), nil
}

// Stat is Head, and asks the lenders what they hold.
func (t *Tier) Stat(ctx context.Context, key string) (Stat, error) {
	if err := checkKey(key); err != nil {
		return Stat{}, err
	}
	if err := t.Settle(ctx); err != nil {
		return Stat{}, err
	}
	o, err := newProof(ctx, t.catalog, key, false).wait(ctx)
	if err != nil {
		return Stat{}, err
	}
	s := Stat{Info: o.info()}
	known := map[string]Shards{}
	var holders []wire.Lender
	for _, l := range t.fleet.all() {
		known[l.ID] = Shards{Lender: l.Name, Host: l.Host, Port: l.Port}
		if slices.Contains(o.Holders, l.ID) {
			holders = append(holders, l)
		}
	}
	answers := t.holdings(ctx, holders, o.version())
	lenders, hosts := map[string]int{}, map[string]int{}
	good := 0
	for c, holder := range o.Holders {
		want := o.shape.Column(c)
		x, there := known[holder]
		if !there {
			x = Shards{Lender: holder}
		}
		x.Column, x.Parity, x.Bytes, x.State = c, c >= o.Data, want, "gone"
		if a, asked := answers[holder]; asked {
			x.State = state(a.held, a.err, o, c, want)
		}
		if want == 0 {
			x.State = "whole" // it is all filling
		}
		if x.State == "whole" {
			good++
		}
		if x.State == "whole" && want > 0 { // filling goes with nobody
			lenders[holder]++
			host := x.Host
			if host == "" {
				host = holder
			}
			hosts[host]++
		}
		s.Shards = append(s.Shards, x)
	}
	if o.Size == 0 { // nothing can be lost
		s.Lenders, s.Hosts, s.Shards = len(known), len(known), nil
		return s, nil
	}
	s.Lenders, s.Hosts = mayGo(lenders, good, o.Data), mayGo(hosts, good, o.Data)
	if ctx.Err() != nil {
		return Stat{}, fault.From(context.Cause(ctx))
	}
	return s, nil
}

// holding is what a lender says it holds.
type holding struct {
	held []lend.Held
	err  error // it does not say
}

// asksAtOnce is how many lenders are asked at the same time: a stopped one keeps nobody but itself.
const asksAtOnce = 16

// holdings asks lenders what they hold of a version; of all where it is the zero one. By their ids.
func (t *Tier) holdings(ctx context.Context, lenders []wire.Lender, of lend.Version) map[string]holding {
	all := make([]holding, len(lenders))
	var g errgroup.Group
	g.SetLimit(asksAtOnce)
	for i, l := range lenders {
		g.Go(func() error {
			all[i].held, all[i].err = t.conns.held(ctx, l.Port, of)
			return nil
		})
	}
	_ = g.Wait() // each has its own error
	out := make(map[string]holding, len(lenders))
	for i, l := range lenders {
		out[l.ID] = all[i]
	}
	return out
}

func state(held []lend.Held, err error, o *object, column int, want int64) string {
	if err != nil {
		return "silent"
	}
	for _, h := range held {
		if h.Version != o.version() || int(h.Column) != column {
			continue
		}
		if h.Bytes == want {
			return "whole"
		}
		return "part"
	}
	return "missing"
}

// mayGo is how many domains may go, the ones that hurt most first, before fewer than data of good columns are left.
func mayGo(columns map[string]int, good, data int) int {
	if good < data {
		return -1
	}
	var sizes []int
	for _, n := range columns {
		sizes = append(sizes, n)
	}
	slices.Sort(sizes)
	n := 0
	for i := len(sizes) - 1; i >= 0 && good-sizes[i] >= data; i-- {
		good -= sizes[i]
		n++
	}
	return n
}

// List gives keys that begin with prefix, at most limit (1 to 10,000), in no stated order, continued by cursor; next is
// empty at the end.
func (t *Tier) List(ctx context.Context, prefix, cursor string, limit int) (keys []string, next string, err error) {
	return t.catalog.list(ctx, prefix, cursor, limit)
}
