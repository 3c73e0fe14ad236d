package dag

import "time"

// LaunchAt is when to start a node that consumes a stream: as late as possible, for until then it would hold a slot and
// wait, but so early that its start-up and the work it can do on what is there do not show when the producer is done
// (NIMBLE, Zhang et al., NSDI '21: the step-dependent launch time). finish is when the producer is predicted to be done,
// startup what the node takes before it reads, work what it takes to read everything. Without a prediction, which is a
// zero finish, it is now; it is never before now.
func LaunchAt(now, finish time.Time, startup, work time.Duration) time.Time {
	at := finish.Add(-startup - work)
	if finish.IsZero() || at.Before(now) {
		return now
	}
	return at
}
