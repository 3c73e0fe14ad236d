package profile

import (
	"cmp"
	"maps"
	"slices"
)

// What a Book has at most. Past it, whoever was observed last least recently makes room.
const (
	MaxFunctions = 4096
	MaxLinks     = 16384
)

// Pair names one direction of a link: executors, or "store".
type Pair struct {
	From string `cbor:"1,keyasint"`
	To   string `cbor:"2,keyasint"`
}

// Book is all that one executor or coordinator knows. The zero Book is empty and ready.
type Book struct {
	functions map[string]*Function // by the caller's name of a version
	links     map[Pair]*Link
}

// Function is the profile of a version, begun if there is none.
func (b *Book) Function(version string) *Function {
	f := b.functions[version]
	if f == nil {
		if b.functions == nil {
			b.functions = map[string]*Function{}
		}
		if len(b.functions) >= MaxFunctions {
			delete(b.functions, stalest(b.functions, (*Function).latest))
		}
		f = &Function{}
		b.functions[version] = f
	}
	return f
}

// Link is the profile of one direction, begun if there is none.
func (b *Book) Link(p Pair) *Link {
	l := b.links[p]
	if l == nil {
		if b.links == nil {
			b.links = map[Pair]*Link{}
		}
		if len(b.links) >= MaxLinks {
			delete(b.links, stalest(b.links, (*Link).latest))
		}
		l = &Link{}
		b.links[p] = l
	}
	return l
}

// Known is the profile of a version; nil where there is none.
func (b *Book) Known(version string) *Function { return b.functions[version] }

// Seen is the profile of one direction; nil where there is none.
func (b *Book) Seen(p Pair) *Link { return b.links[p] }

// Part gives a book of what is known of some versions, and of the links among some ends, no more than most of them: those
// observed last. Which runs are stragglers is left out. It shares no memory with b.
func (b *Book) Part(versions, ends []string, most int) *Book {
	out := &Book{}
	for _, version := range versions {
		if f := b.functions[version]; f != nil {
			g := out.Function(version)
			g.runs, g.cold, g.since = slices.Clone(f.runs), slices.Clone(f.cold), 1
		}
	}
	var among []Pair
	for _, p := range b.Links() {
		if slices.Contains(ends, p.From) && slices.Contains(ends, p.To) {
			among = append(among, p)
		}
	}
	slices.SortStableFunc(among, func(x, y Pair) int { return cmp.Compare(b.links[y].latest(), b.links[x].latest()) })
	for _, p := range among[:min(len(among), most)] {
		out.Link(p).Merge(b.links[p])
	}
	return out
}

// Versions lists the versions that have a profile, sorted.
func (b *Book) Versions() []string { return slices.Sorted(maps.Keys(b.functions)) }

// Links lists the links that have a profile, sorted.
func (b *Book) Links() []Pair { return slices.SortedFunc(maps.Keys(b.links), comparePairs) }

// Merge adds what another book knows; it keeps none of the other's memory.
func (b *Book) Merge(o *Book) {
	for _, version := range o.Versions() {
		b.Function(version).Merge(o.functions[version])
	}
	for _, p := range o.Links() {
		b.Link(p).Merge(o.links[p])
	}
}

func (f *Function) latest() int64 {
	if len(f.runs) == 0 {
		return 0
	}
	return f.runs[len(f.runs)-1].At
}

func (l *Link) latest() int64 {
	if len(l.transfers) == 0 {
		return 0
	}
	return l.transfers[len(l.transfers)-1].At
}

// stalest finds what was observed last least recently. Books are full so seldom that a scan is good enough.
func stalest[K comparable, P any](m map[K]P, latest func(P) int64) (k K) {
	first := true
	var least int64
	for key, p := range m {
		if at := latest(p); first || at < least {
			k, least, first = key, at, false
		}
	}
	return k
}
