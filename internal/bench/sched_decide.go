package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/squall-faas/squall/internal/sched"
)

// digestKeys is how many keys each worker's digest has.
const digestKeys = 100_000

// decide measures a scheduler that has so many workers: jobs of ten applications, most of which refer to a key that some worker
// has cached, and the words of the workers in between, as many as come with so many jobs. A decision is what one job costs.
func (s *suite) decide(ctx context.Context, workers int, seed uint64) error {
	name := numbered(caseDecide, workers)
	s.progress.Begin(name, -1)
	rng := rand.New(rand.NewPCG(seed, uint64(workers)))
	d, err := newDecider(workers, s.size(digestKeys, 1000), rng)
	if err != nil {
		return err
	}
	n := s.size(500_000, 5_000)
	hist := hdrhistogram.New(1, int64(time.Second), 3)
	began := time.Now()
	for i := range n {
		if i%4096 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		job := d.job(i, rng)
		start := time.Now()
		took, err := d.decide(job, start)
		if err != nil {
			return err
		}
		if err := hist.RecordValue(int64(took)); err != nil {
			return err
		}
	}
	total := time.Since(began)
	s.report.Rows = append(s.report.Rows, Row{
		Case: name, Metric: "decision", Unit: "us", N: n, Ops: float64(n) / total.Seconds(),
		P50: float64(hist.ValueAtQuantile(50)) / 1000, P99: float64(hist.ValueAtQuantile(99)) / 1000, Max: float64(hist.Max()) / 1000,
	})
	s.report.Ratios[fmt.Sprintf("decisions_per_second_%d", workers)] = float64(n) / total.Seconds()
	return nil
}

// decider is a scheduler with its workers.
type decider struct {
	s       *sched.Scheduler
	views   []sched.View
	spent   []uint64
	index   map[string]int
	keys    []uint64
	serial  uint64
	cmds    []sched.Command
	pending int
}

const deciderSlots = 8

func newDecider(workers, keys int, rng *rand.Rand) (*decider, error) {
	d := &decider{s: sched.New(sched.Config{Seed: rng.Uint64()}), index: map[string]int{}, spent: make([]uint64, workers), serial: 1}
	// A few digests serve all workers: to make one for each would take longer than what is measured.
	var updates [][][]byte
	for range min(workers, 8) {
		hashes := make([]uint64, keys)
		for i := range hashes {
			hashes[i] = rng.Uint64()
		}
		d.keys = append(d.keys, hashes...)
		var digest sched.Digest
		digest.Rebuild(func(yield func(uint64, int64)) {
			for i, h := range hashes {
				yield(h, int64(1)<<(10+i%16))
			}
		})
		var all [][]byte
		for range 40 {
			all = append(all, digest.Update(sched.UpdateBytes))
		}
		updates = append(updates, all)
	}
	now := time.Now()
	for i := range workers {
		v := sched.View{
			Worker: sched.Peer{Name: fmt.Sprint("worker-", i), Life: 1}, Takes: true, Abilities: []sched.Ability{"f"},
			Slots: deciderSlots, Mean: time.Millisecond, Grant: &sched.Grant{Limit: deciderSlots, Serial: 1},
		}
		d.index[v.Worker.Name] = i
		for _, u := range updates[i%len(updates)] {
			v.Keys = u
			var err error
			if d.cmds, err = d.s.Heard(now, &v, d.cmds[:0]); err != nil {
				return nil, err
			}
		}
		v.Keys = nil
		d.views = append(d.views, v)
	}
	return d, nil
}

func (d *decider) job(i int, rng *rand.Rand) sched.Job {
	j := sched.Job{App: fmt.Sprint("app-", i%10), Needs: "f"}
	j.ID[0], j.ID[1], j.ID[2], j.ID[3] = byte(i>>24), byte(i>>16), byte(i>>8), byte(i)
	if i%4 != 0 {
		j.Keys = []uint64{d.keys[rng.IntN(len(d.keys))], rng.Uint64()}
	}
	return j
}

// decide submits a job, and lets workers tell that they are done with some when half of all slots are taken.
func (d *decider) decide(j sched.Job, now time.Time) (time.Duration, error) {
	j.Since = now
	d.cmds = d.s.Submit(now, j, d.cmds[:0])
	took := time.Since(now)
	d.count()
	if d.pending < len(d.views)*deciderSlots/2 {
		return took, nil
	}
	d.pending = 0
	d.serial++
	for i := range d.views {
		v := &d.views[i]
		*v.Grant = sched.Grant{Limit: d.spent[i] + deciderSlots, Spent: d.spent[i], Serial: d.serial}
		d.cmds = d.s.Granted(now, v, d.cmds[:0])
		d.count()
	}
	d.cmds = d.s.Tick(now.Add(time.Second), d.cmds[:0])
	d.count()
	return took, nil
}

func (d *decider) count() {
	for _, c := range d.cmds {
		if c.Kind == sched.Bind {
			d.spent[d.index[c.Worker.Name]] = c.Credit
			d.pending++
		}
	}
}
