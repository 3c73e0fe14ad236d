package bench

import (
	"reflect"
	"time"
	"unsafe"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/fn"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

// Names of the functions of the locality suite; the first three are one func, under a name that one executor each has.
const (
	fnSumHot   = "sum-hot"
	fnSumPeer  = "sum-peer"
	fnSumFresh = "sum-fresh"
	fnOwned    = "owned"
)

// arrays are how many a call sums.
const arrays = 10

// summed is what a call of sums has found.
type summed struct {
	Sum       float64
	Loop      int64  // nanoseconds of the plain loop over the same slices, within this call
	First     bool   // the loop came first, and waited for memory
	Where     uint64 // where the first array lies: a cached one that is viewed stays where it is
	PeerReads int    // that the node's cache has made since the call before
	Reads     int    // of the store, likewise
}

// sums is a function of a flag and ten arrays, given as references. It sums them, and then, or before if the flag says so,
// sums the same slices again in a plain loop, which is the floor: of the two, the first waits for memory. A function with
// so many arguments is put together by hand.
func (m *member) sums() fn.Impl {
	impl := fn.Impl{In: []reflect.Type{reflect.TypeFor[bool]()}, Out: reflect.TypeFor[summed]()}
	for range arrays {
		impl.In = append(impl.In, reflect.TypeFor[[]float64]())
	}
	before := m.stats()
	impl.Invoke = func(_ fn.Context, args []value.Value) (value.Value, error) {
		if len(args) != 1+arrays {
			return value.Value{}, fault.New(fault.WrongArity, "%d arguments instead of a flag and %d arrays", len(args), arrays)
		}
		first, err := value.As[bool](args[0])
		if err != nil {
			return value.Value{}, err
		}
		xs := make([][]float64, arrays)
		for i := range xs {
			if xs[i], err = value.As[[]float64](args[1+i]); err != nil {
				return value.Value{}, err
			}
		}
		out := summed{First: first, Where: uint64(uintptr(unsafe.Pointer(unsafe.SliceData(xs[0]))))}
		var again float64
		if first {
			again, out.Loop = timedSum(xs)
			out.Sum = sumOf(xs)
		} else {
			out.Sum = sumOf(xs)
			again, out.Loop = timedSum(xs)
		}
		now := m.stats()
		out.PeerReads, out.Reads = int(now[0]-before[0]), int(now[1]-before[1])
		before = now // called once at a time
		if err := check(again, out.Sum, nil); err != nil {
			return value.Value{}, err
		}
		return value.Of(out)
	}
	return impl
}

// stats are how often the node's cache has read from peers and from the store.
func (m *member) stats() [2]uint64 {
	s := m.node.Cache.Stats()
	return [2]uint64{s.PeerReads, s.Reads}
}

func sumOf(xs [][]float64) (sum float64) {
	for _, a := range xs {
		for _, x := range a {
			sum += x
		}
	}
	return sum
}

func timedSum(xs [][]float64) (sum float64, took int64) {
	began := time.Now()
	sum = sumOf(xs)
	return sum, int64(time.Since(began))
}

// owned says for each key which node it is read through from here; "" is this one.
func (m *member) owned(_ fn.Context, keys []string) ([]string, error) {
	out := make([]string, len(keys))
	for i, k := range keys {
		out[i] = m.node.Peers.Owner("", kvs.Key(k))
	}
	return out, nil
}
