// Package reclaim simulates a cache over memory that is taken away: lenders that are reclaimed one by one, in bursts, and
// by whole hosts, under policies that keep objects alive. It is pure and seeded: the same Model, Policy and seed give the
// same Result.
//
// The reclamation follows what InfiniCache saw of AWS Lambda (Wang et al., FAST 2020, §4.1 and §5.2): a background at a
// Poisson rate, minutes in which a Zipf-distributed number goes, and waves that take a large part of the pool every few
// hours; beside them, what is ours, whole hosts. Where the paper gives no figure the choice is told in Paper.
package reclaim

import (
	"time"

	"github.com/squall-faas/squall/cache/coded/layout"
)

// Model is the world: lenders, objects, requests, and how lenders are reclaimed. Rates are of all lenders together.
type Model struct {
	Lenders int
	Hosts   int
	Span    time.Duration

	// Background is how many lenders an hour are reclaimed one by one (Poisson).
	Background float64
	// Burst is the chance of a minute to be one in which several go: as many as a Zipf distribution with exponent
	// BurstExponent says, at most BurstMost.
	Burst         float64
	BurstExponent float64
	BurstMost     int
	// HostLoss is how many hosts an hour go with all their lenders.
	HostLoss float64
	// Wave is how often a share WaveShare of all is reclaimed within WaveFor; 0 is never.
	Wave      time.Duration
	WaveShare float64
	WaveFor   time.Duration
	// Idle is how many lenders an hour are reclaimed in addition where nothing keeps them warm.
	Idle float64
	// Trace, if there is one, takes the place of all these: when which lender is reclaimed.
	Trace []Loss

	Objects  int
	Bytes    int64   // of each object
	Popular  float64 // the exponent of the Zipf distribution of requests over objects
	Requests float64 // an hour
	Code     layout.Code
}

// Loss is one reclamation of a Trace.
type Loss struct {
	At     time.Duration
	Lender int
}

// Policy is what keeps objects alive. The zero Policy is the code alone.
type Policy struct {
	Name string
	// Warm keeps lenders from being reclaimed because they idle (the paper's warm-up, each minute).
	Warm bool
	// Sync is how often each lender's content is copied to its standby (the paper's backup, each 5 minutes); 0 is never.
	// What was written after the last copy goes with the lender. SafeStandby puts it on another host.
	Sync        time.Duration
	SafeStandby bool
	// ReadRepair writes the columns that a read found missing again.
	ReadRepair bool
	// Notice is how long it takes to notice that a lender has gone, Repair with how many bytes a second, read and written,
	// the columns it held are rebuilt, the most endangered object first; 0 rebuilds nothing.
	Notice time.Duration
	Repair float64
	// Spread places columns over hosts, at most as many as the code's parity on one.
	Spread bool
	// Adapts cuts each object by the code that Squall chooses for its size, the fleet, and the bursts seen so far, in place
	// of the model's.
	Adapts bool
}

// Result of a simulation.
type Result struct {
	Gets     int     // of objects that had been written
	Hits     int     // with at least d columns
	Lost     int     // objects that fell below d columns, each time
	Reclaims int     // of lenders
	Repaired int     // columns
	Moved    float64 // bytes, of copies to standbys and of repairs
}

// Availability is the share of Gets that hit; 1 where there were none.
func (r Result) Availability() float64 {
	if r.Gets == 0 {
		return 1
	}
	return float64(r.Hits) / float64(r.Gets)
}

// Paper is the setting of InfiniCache §5.2: 400 functions, 10+2, the large objects of a registry's trace over 50 hours.
// From the paper: the functions, the code, 750 requests an hour, about 1 TB of objects, the warm-up and backup intervals,
// a background of 36 reclamations an hour, waves every six hours. Our choice: objects of 100 MB, their popularity (Zipf,
// 0.9), 40 hosts of which one goes every two hours, bursts in one minute of twenty with exponent 1.5 up to 40 lenders, and
// waves of half of the pool within ten minutes. They were chosen once, before the first run, and are not fitted to the
// paper's result.
func Paper() Model {
	return Model{
		Lenders: 400, Hosts: 40, Span: 50 * time.Hour,
		Background: 36, Burst: 0.05, BurstExponent: 1.5, BurstMost: 40, HostLoss: 0.5,
		Wave: 6 * time.Hour, WaveShare: 0.5, WaveFor: 10 * time.Minute, Idle: 800,
		Objects: 10_000, Bytes: 100_000_000, Popular: 0.9, Requests: 750, Code: layout.Code{Data: 10, Parity: 2},
	}
}

// EachRepairs is what repairs may take of each lender, in bytes a second: a quarter of what the paper's functions move
// (§5.1), and a sixth of a Keeper's default.
const EachRepairs = 20e6

// Policies are those that are compared: InfiniCache's, in its steps; repair, with standbys and without them, of the model's
// code; and ours.
func Policies(m Model) []Policy {
	rate := EachRepairs * float64(m.Lenders)
	return []Policy{
		{Name: "none", ReadRepair: true},
		{Name: "warm-up", Warm: true, ReadRepair: true},
		{Name: "delta-sync", Warm: true, ReadRepair: true, Sync: 5 * time.Minute},
		{Name: "repair", Warm: true, Notice: 750 * time.Millisecond, Repair: rate, Spread: true},
		{Name: "repair and delta-sync", Warm: true, Sync: 5 * time.Minute, SafeStandby: true, Notice: 750 * time.Millisecond, Repair: rate, Spread: true},
		Squall(rate),
	}
}

// Squall is our policy, with so many bytes a second for repairs: heartbeats of 500 ms, of which a missing one is noticed
// half an interval late, and a code that follows the fleet.
func Squall(rate float64) Policy {
	return Policy{Name: "Squall", Warm: true, Notice: 750 * time.Millisecond, Repair: rate, Spread: true, Adapts: true}
}
