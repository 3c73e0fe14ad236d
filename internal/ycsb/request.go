package ycsb

import (
	"math"
	"math/rand/v2"
)

// The distributions, by their names in property files.
const (
	Uniform     = "uniform"
	Zipfian     = "zipfian"
	Latest      = "latest"
	Hotspot     = "hotspot"
	Exponential = "exponential"
	Sequential  = "sequential"
	Constant    = "constant"
)

// scrambledItems is over how many ranks YCSB draws where it scrambles, however many records there are: the most popular
// record gets 1 in 26.5 requests, not more with few records.
const scrambledItems = 10_000_000_000

// Request is how records are chosen.
type Request struct {
	Kind             string
	HotData, HotOps  float64 // of hotspot: so much of the records gets so much of the requests
	Percentile, Frac float64 // of exponential: so many percent of the requests go to the latest so much of the records
}

// chooser draws numbers of records. Not safe for concurrent use: each worker has one.
type chooser struct {
	Request
	first, count int64 // of the records that were loaded
	space        int64 // that scrambled numbers fall into: with room for records to come
	inserts      *Inserts
	z            zipf
	gamma        float64
	hot          int64
	at, step     int64 // of sequential
}

// newChooser makes worker's of so many workers.
func (w *Workload) newChooser(inserts *Inserts, worker, workers int) *chooser {
	c := &chooser{Request: w.Request, first: w.InsertStart, count: max(w.InsertCount, 1), inserts: inserts}
	switch c.Kind {
	case Zipfian:
		// As YCSB does, room for twice the records that are to come, so that the popular ones stay the same ones.
		c.space = c.count + int64(float64(w.Operations)*w.Mix[Insert]*2)
		c.z = newZipf(scrambledItems, ZipfTheta)
	case Latest:
		c.z = newZipf(max(inserts.Last()+1-c.first, 1), ZipfTheta)
	case Hotspot:
		c.hot = int64(float64(c.count) * c.HotData)
	case Exponential:
		c.gamma = -math.Log(1-c.Percentile/100) / (float64(w.Records) * c.Frac)
	case Sequential:
		c.at, c.step = int64(worker)%c.count, int64(workers)%c.count
		if c.step == 0 && workers < 2 {
			c.step = 1
		}
	}
	return c
}

// next draws the number of a record that exists, as far as is known.
func (c *chooser) next(r *rand.Rand) int64 {
	switch c.Kind {
	case Zipfian:
		last := c.inserts.Last()
		for {
			if n := c.first + hash64(c.z.next(r))%c.space; n <= last {
				return n
			}
		}
	case Latest:
		last := c.inserts.Last()
		c.z.resize(max(last+1-c.first, 1))
		return last - c.z.next(r)
	case Hotspot:
		if c.hot > 0 && (r.Float64() < c.HotOps || c.hot == c.count) {
			return c.first + r.Int64N(c.hot)
		}
		return c.first + c.hot + r.Int64N(c.count-c.hot)
	case Exponential:
		last := c.inserts.Last()
		there := last + 1 - c.first
		all := -math.Expm1(-c.gamma * float64(there)) // the share of the distribution that falls on records that exist
		back := int64(-math.Log1p(-r.Float64()*all) / c.gamma)
		return last - min(back, there-1)
	case Sequential:
		n := c.first + c.at
		c.at = (c.at + c.step) % c.count
		return n
	}
	return c.first + r.Int64N(c.count)
}

// Range is how long something is: from Least to Most, both among them.
type Range struct {
	Kind        string // constant, uniform or zipfian; the constant is Most
	Least, Most int64
}

// lengths draws from a Range.
type lengths struct {
	Range
	z zipf
}

func newLengths(of Range) lengths {
	l := lengths{Range: of}
	if of.Kind == Zipfian {
		l.z = newZipf(of.Most-of.Least+1, ZipfTheta)
	}
	return l
}

func (l *lengths) next(r *rand.Rand) int64 {
	switch {
	case l.Kind == Constant || l.Least == l.Most:
		return l.Most
	case l.Kind == Zipfian:
		return l.Least + l.z.next(r)
	}
	return l.Least + r.Int64N(l.Most-l.Least+1)
}
