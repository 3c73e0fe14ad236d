package reclaim

import "time"

// Prices of InfiniCache's cost model (§5.3): those of AWS in 2019.
type Prices struct {
	Invocation float64 // of one, in dollars
	GBSecond   float64 // of a function's memory for a second
	Provided   float64 // of the provisioned cache an hour
}

// PricesOf2019 are those that the paper calculates with: Lambda's, and one cache.r5.24xlarge.
func PricesOf2019() Prices {
	return Prices{Invocation: 0.02 / 100_000, GBSecond: 0.0000166667, Provided: 10.368}
}

// Lambdas are a pool as the cost model sees it.
type Lambdas struct {
	Functions int
	GB        float64       // of each
	Code      int           // functions that a request invokes: d+p
	Serving   time.Duration // billed for a function's part in a request
	Warm      time.Duration // between warm-ups; 0 is never
	Sync      time.Duration // between backups; 0 is never
	Syncing   time.Duration // that a backup takes
}

// PaperPool is the pool of §5.2: 400 functions of 1.5 GB, warmed each minute, backed up every 5 minutes; billing is by
// 100 ms.
func PaperPool() Lambdas {
	return Lambdas{Functions: 400, GB: 1.5, Code: 12, Serving: 100 * time.Millisecond, Warm: time.Minute, Sync: 5 * time.Minute, Syncing: 2 * time.Second}
}

// HourlyCost is what a pool costs at so many requests an hour: serving, warm-up and backup (§5.3, equations 4 to 6).
func (l Lambdas) HourlyCost(p Prices, requests float64) (serving, warm, sync float64) {
	per := func(times float64, d time.Duration) float64 {
		billed := (d + 99*time.Millisecond).Truncate(100 * time.Millisecond)
		return times * (p.Invocation + billed.Seconds()*l.GB*p.GBSecond)
	}
	serving = per(requests*float64(l.Code), l.Serving)
	if l.Warm > 0 {
		warm = per(float64(l.Functions)*float64(time.Hour)/float64(l.Warm), 100*time.Millisecond)
	}
	if l.Sync > 0 {
		sync = per(float64(l.Functions)*float64(time.Hour)/float64(l.Sync), l.Syncing)
	}
	return serving, warm, sync
}

// Crossover is the number of requests an hour from which the provisioned cache is cheaper.
func (l Lambdas) Crossover(p Prices) float64 {
	_, warm, sync := l.HourlyCost(p, 0)
	one, _, _ := l.HourlyCost(p, 1)
	return max(p.Provided-warm-sync, 0) / one
}
