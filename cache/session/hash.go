package session

import (
	"hash/maphash"

	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/kvs/version"
)

// seed is one for the process: a session and the caches that it reads through look keys up by the same hash, made once a read.
var seed = maphash.MakeSeed()

// Hash of a key, with all bits well mixed; another one in each process.
func Hash(key kvs.Key) uint64 { return maphash.String(seed, string(key)) }

// Mark is a dependency as sessions look it up, without its key: that would be one more wait for memory for each.
type Mark struct {
	Hash     uint64 // of the dependency's key
	Revision kvs.Revision
	Time     uint64
}

// Sight is a version that a run may see, with what a session looks up of it. Whoever keeps versions makes Marks once.
type Sight struct {
	*version.Version
	Hash  uint64 // of its key
	Marks []Mark // of Version.Deps, in their order
}

// SightOf makes all of it.
func SightOf(v *version.Version) Sight {
	return Sight{v, Hash(v.Key), MarkAll(nil, v.Deps)}
}

// MarkAll appends the marks of dependencies.
func MarkAll(marks []Mark, deps []version.Dep) []Mark {
	for i := range deps {
		marks = append(marks, Mark{Hash(deps[i].Key), deps[i].Revision, deps[i].Time})
	}
	return marks
}
