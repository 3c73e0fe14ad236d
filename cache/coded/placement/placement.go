// Package placement chooses the lenders of an object's columns: weighted rendezvous hashing (Schindelhauer & Schomaker 2005)
// over failure domains, the host and then the process. It is pure: whoever knows the same lenders chooses the same.
package placement

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"github.com/cespare/xxhash/v2"

	"github.com/squall-faas/squall/cache/coded/layout"
	"github.com/squall-faas/squall/fault"
)

// Lender is one that may be chosen.
type Lender struct {
	Name string
	Host string // its failure domain; "" is one of its own
	Lent int64  // bytes that it lends, used or not: its weight
}

func (l Lender) domain() string {
	if l.Host == "" {
		return "\x00" + l.Name // no host has such a name
	}
	return l.Host
}

// maxShare is the most of a lender's memory that one column may take: a lender that a single object fills would lose all
// that others keep there.
const maxShare = 0.5

// Rank orders lenders by how much they are wanted for key, the most first. Each comes first for a share of all keys that is
// its share of what is lent; when one comes or goes, no two others change places.
func Rank(key string, lenders []Lender) []Lender {
	type scored struct {
		Lender
		score float64
	}
	h := xxhash.Sum64String(key)
	all := make([]scored, 0, len(lenders))
	for _, l := range lenders {
		if l.Lent > 0 {
			all = append(all, scored{l, score(h, l)})
		}
	}
	slices.SortFunc(all, func(a, b scored) int {
		if c := cmp.Compare(b.score, a.score); c != 0 {
			return c
		}
		return strings.Compare(a.Name, b.Name)
	})
	out := make([]Lender, len(all))
	for i, s := range all {
		out[i] = s.Lender
	}
	return out
}

// score is -w/ln(u) for a u that is drawn evenly from (0, 1) by key and lender.
func score(key uint64, l Lender) float64 {
	h := mix(key ^ xxhash.Sum64String(l.Name))
	u := (float64(h>>11) + 0.5) / (1 << 53)
	return -float64(l.Lent) / math.Log(u)
}

// mix spreads a hash's bits (the finaliser of MurmurHash3).
func mix(h uint64) uint64 {
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}

// Place chooses a lender for each column of an object. No two columns are on one lender and no more than the code's parity
// on one host, where the fleet allows it; else as few as it allows. no_executor where nobody lends as much as a column
// takes.
func Place(key string, lenders []Lender, s layout.Shape) ([]string, error) {
	return Replace(key, lenders, s, make([]string, s.Width()))
}

// Replace chooses lenders for the columns that have none, "" in holders, beside those that are held; it gives all of them.
// Holders that are not among the lenders count as lost with their host unknown.
func Replace(key string, lenders []Lender, s layout.Shape, holders []string) ([]string, error) {
	need := s.Column(s.Width() - 1)
	if s.Parity == 0 {
		need = s.Column(0)
	}
	ranked := slices.DeleteFunc(Rank(key, lenders), func(l Lender) bool { return float64(need) > maxShare*float64(l.Lent) })
	if len(ranked) == 0 {
		return nil, fault.New(fault.NoExecutor, "none of %d lenders lends the %d bytes that one of %v shards of %d bytes takes: start executors that lend memory, or let them lend more",
			len(lenders), need, s.Code, s.Size)
	}
	c := count{lenders: map[string]int{}, hosts: map[string]int{}}
	host := map[string]string{}
	for _, l := range lenders {
		host[l.Name] = l.domain()
	}
	missing := 0
	for _, name := range holders {
		switch {
		case name == "":
			missing++
		case host[name] != "":
			c.add(name, host[name])
		}
	}
	// The caps are raised as little as needed: first how many a host may have, then how many a lender may.
	out := slices.Clone(holders)
	perHost, perLender := max(s.Parity, 1), 1
	for missing > 0 {
		placed := false
		for i, name := range out {
			if name != "" {
				continue
			}
			for _, l := range ranked {
				if c.lenders[l.Name] < perLender && c.hosts[l.domain()] < perHost {
					out[i] = l.Name
					c.add(l.Name, l.domain())
					missing--
					placed = true
					break
				}
			}
		}
		switch {
		case placed || missing == 0:
		case slices.ContainsFunc(ranked, func(l Lender) bool { return c.lenders[l.Name] < perLender }):
			perHost++
		default:
			perLender++
		}
	}
	return out, nil
}

// count is how many columns of the object are where.
type count struct{ lenders, hosts map[string]int }

func (c count) add(lender, host string) {
	c.lenders[lender]++
	c.hosts[host]++
}

// Hosts counts the failure domains of lenders.
func Hosts(lenders []Lender) int {
	seen := map[string]bool{}
	for _, l := range lenders {
		if l.Lent > 0 {
			seen[l.domain()] = true
		}
	}
	return len(seen)
}
