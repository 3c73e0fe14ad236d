package reclaim

import (
	"container/heap"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/squall-faas/squall/cache/coded/layout"
	"github.com/squall-faas/squall/cache/coded/upkeep"
)

// Simulate runs a model under a policy.
func Simulate(m Model, p Policy, seed uint64) Result {
	s := &simulation{Model: m, Policy: p, random: rand.New(rand.NewPCG(seed, 7)), objects: make([]object, m.Objects), lenders: make([]lender, m.Lenders)}
	for i := range s.lenders {
		s.lenders[i] = lender{host: i % max(m.Hosts, 1), holds: map[hold]time.Duration{}}
	}
	s.zipf = cumulative(m.Objects, m.Popular)
	s.bursts = cumulative(m.BurstMost, m.BurstExponent)
	s.seen.Watch(s.time())
	s.schedule()
	for len(s.events) > 0 {
		e := heap.Pop(&s.events).(event)
		if e.at > m.Span {
			break
		}
		s.now = e.at
		e.do()
	}
	return s.result
}

type simulation struct {
	Model
	Policy
	random  *rand.Rand
	now     time.Duration
	events  events
	seq     int
	objects []object
	lenders []lender
	zipf    []float64
	bursts  []float64
	queue   upkeep.Queue
	busy    bool // a repair is under way
	seen    layout.Bursts
	result  Result
}

type object struct {
	columns []int // lenders; -1 where the column is lost; nil where the object is not there
	code    layout.Code
	version int
}

type hold struct{ object, column int }

type lender struct {
	host    int
	holds   map[hold]time.Duration // since when
	standby map[hold]bool          // nil: there is none
	where   int                    // the standby's host
	fresh   []hold                 // not copied yet, and some that are gone
}

// cumulative is the distribution function of Zipf's over n ranks.
func cumulative(n int, exponent float64) []float64 {
	out := make([]float64, n)
	sum := 0.0
	for i := range out {
		sum += math.Pow(float64(i+1), -exponent)
		out[i] = sum
	}
	for i := range out {
		out[i] /= sum
	}
	return out
}

func (s *simulation) draw(distribution []float64) int {
	i, _ := slices.BinarySearch(distribution, s.random.Float64())
	return min(i, len(distribution)-1)
}

func (s *simulation) after(d time.Duration, do func()) {
	s.seq++
	heap.Push(&s.events, event{s.now + d, s.seq, do})
}

// every does something at a Poisson rate an hour.
func (s *simulation) every(rate float64, do func()) {
	if rate <= 0 {
		return
	}
	var again func()
	next := func() {
		if wait := s.random.ExpFloat64() / rate * float64(time.Hour); wait <= float64(s.Span) { // else it does not come any more
			s.after(time.Duration(wait), again)
		}
	}
	again = func() { do(); next() }
	next()
}

func (s *simulation) schedule() {
	s.every(s.Requests, func() { s.get(s.draw(s.zipf)) })
	if s.Sync > 0 {
		for i := range s.lenders { // not all at once
			var again func()
			again = func() { s.sync(i); s.after(s.Sync, again) }
			s.after(time.Duration(s.random.Float64()*float64(s.Sync)), again)
		}
	}
	if s.Trace != nil {
		for _, l := range s.Trace {
			s.after(l.At, func() { s.reclaim(l.Lender) })
		}
		return
	}
	// A standby is an instance as a lender is, and may go as a lender may: there are twice as many then.
	one := func() { s.reclaim(s.random.IntN(s.Lenders)) }
	times := 1.0
	if s.Sync > 0 {
		times = 2
		one = func() {
			if i := s.random.IntN(s.Lenders); s.random.IntN(2) == 0 {
				s.reclaim(i)
			} else {
				s.loseStandby(i)
			}
		}
	}
	s.every(times*s.Background, one)
	if !s.Warm {
		s.every(s.Idle, one)
	}
	s.every(s.Burst*60, func() {
		for range int(times) * (s.draw(s.bursts) + 1) {
			one()
		}
	})
	s.every(s.HostLoss, func() {
		host := s.random.IntN(s.Hosts)
		for i := range s.lenders {
			if l := &s.lenders[i]; l.standby != nil && l.where == host {
				s.loseStandby(i)
			}
			if s.lenders[i].host == host {
				s.reclaim(i)
			}
		}
	})
	if s.Wave > 0 {
		var again func()
		again = func() {
			for i := range s.lenders {
				if s.random.Float64() < s.WaveShare {
					s.after(time.Duration(s.random.Float64()*float64(s.WaveFor)), func() { s.reclaim(i) })
				}
				if s.Sync > 0 && s.random.Float64() < s.WaveShare {
					s.after(time.Duration(s.random.Float64()*float64(s.WaveFor)), func() { s.loseStandby(i) })
				}
			}
			s.after(s.Wave, again)
		}
		s.after(s.Wave, again)
	}
}

// get reads an object; one that was never there, or is lost, is written anew, from where it came.
func (s *simulation) get(i int) {
	o := &s.objects[i]
	if o.columns == nil {
		s.put(i)
		return
	}
	s.result.Gets++
	missing := count(o.columns)
	if missing > o.code.Parity {
		s.put(i)
		return
	}
	s.result.Hits++
	if missing > 0 && s.ReadRepair {
		s.fill(i)
	}
}

func count(columns []int) (missing int) {
	for _, l := range columns {
		if l < 0 {
			missing++
		}
	}
	return missing
}

func (s *simulation) put(i int) {
	o := &s.objects[i]
	for c, l := range o.columns {
		if l >= 0 {
			s.lenders[l].forget(hold{i, c})
		}
	}
	o.version++
	o.code = s.code()
	o.columns = slices.Repeat([]int{-1}, o.code.Width())
	s.fill(i)
}

// code is what the next object is cut by.
func (s *simulation) code() layout.Code {
	if !s.Adapts {
		return s.Code
	}
	return layout.Choose(s.Bytes, layout.Fleet{Lenders: s.Lenders, Hosts: s.Hosts, Bursts: s.seen.Rates(s.time(), s.Lenders)})
}

// time is the simulation's, for what knows dates.
func (s *simulation) time() time.Time { return time.Unix(0, 0).Add(s.now) }

// fill gives each column that has no lender one.
func (s *simulation) fill(i int) {
	o := &s.objects[i]
	hosts := map[int]int{}
	used := map[int]bool{}
	for _, l := range o.columns {
		if l >= 0 {
			used[l] = true
			hosts[s.lenders[l].host]++
		}
	}
	most := max(o.code.Parity, 1)
	for c := range o.columns {
		if o.columns[c] >= 0 {
			continue
		}
		for try := 0; ; try++ {
			l := s.random.IntN(s.Lenders)
			crowded := s.Spread && hosts[s.lenders[l].host] >= most
			if (used[l] || crowded) && try < 20*s.Lenders { // a fleet too small for the code doubles up
				continue
			}
			used[l] = true
			hosts[s.lenders[l].host]++
			o.columns[c] = l
			s.lenders[l].holds[hold{i, c}] = s.now
			if s.Sync > 0 {
				s.lenders[l].fresh = append(s.lenders[l].fresh, hold{i, c})
			}
			break
		}
	}
	s.queue.Remove(strconv.Itoa(i))
}

// sync copies what a lender holds to its standby, which is started where there is none.
func (s *simulation) sync(i int) {
	l := &s.lenders[i]
	if l.standby == nil {
		l.standby = map[hold]bool{}
		l.where = s.random.IntN(s.Hosts)
		if s.SafeStandby && s.Hosts > 1 && l.where == l.host {
			l.where = (l.where + 1) % s.Hosts
		}
		for h := range l.holds {
			l.standby[h] = true
		}
		for h := range l.holds {
			s.result.Moved += s.column(h.object)
		}
		l.fresh = nil
		return
	}
	for _, h := range l.fresh {
		if _, still := l.holds[h]; still && !l.standby[h] {
			l.standby[h] = true
			s.result.Moved += s.column(h.object)
		}
	}
	l.fresh = nil
}

func (l *lender) forget(h hold) {
	delete(l.holds, h)
	delete(l.standby, h)
}

func (s *simulation) column(object int) float64 {
	return float64(s.Bytes) / float64(s.objects[object].code.Data)
}

// loseStandby takes a standby's memory.
func (s *simulation) loseStandby(i int) {
	s.result.Reclaims++
	s.lenders[i].standby = nil
}

// reclaim takes a lender's memory. Its standby takes its place, with what it has.
func (s *simulation) reclaim(i int) {
	l := &s.lenders[i]
	s.result.Reclaims++
	host, standby := strconv.Itoa(l.host), l.standby
	l.standby = nil
	kept := map[hold]time.Duration{}
	lost := make([]hold, 0, len(l.holds))
	for h, since := range l.holds {
		if standby[h] {
			kept[h] = since
		} else {
			lost = append(lost, h)
		}
	}
	l.holds = kept
	if standby != nil {
		l.host, l.fresh = l.where, nil
	} else if s.Hosts > 0 && s.Trace == nil {
		l.fresh = nil
	}
	slices.SortFunc(lost, func(a, b hold) int { return (a.object-b.object)*64 + a.column - b.column })
	for _, h := range lost {
		o := &s.objects[h.object]
		o.columns[h.column] = -1
		if count(o.columns) == o.code.Parity+1 {
			s.result.Lost++
		}
	}
	if s.Repair <= 0 {
		return
	}
	s.after(s.Notice, func() {
		s.seen.Lost(s.time(), host, s.Lenders)
		for _, h := range lost {
			s.endangered(h.object)
		}
		s.work()
	})
}

func (s *simulation) endangered(i int) {
	if o := &s.objects[i]; o.columns != nil {
		s.queue.Put(upkeep.Endangered{
			Key: strconv.Itoa(i), Lost: count(o.columns), Parity: o.code.Parity, Bytes: s.Bytes, Since: s.time(),
		})
	}
}

// work repairs the most endangered object: it takes as long as reading it and writing what it lacks takes at the rate.
func (s *simulation) work() {
	if s.busy {
		return
	}
	e, ok := s.queue.Pop()
	if !ok {
		return
	}
	i, _ := strconv.Atoi(e.Key)
	moved := float64(s.Bytes) + float64(e.Lost)*s.column(i)
	version := s.objects[i].version
	s.busy = true
	s.after(time.Duration(moved/s.Repair*float64(time.Second)), func() {
		s.busy = false
		s.result.Moved += moved
		o := &s.objects[i]
		if missing := count(o.columns); o.version == version && missing > 0 && missing <= o.code.Parity {
			s.result.Repaired += missing
			s.fill(i)
		}
		s.work()
	})
}

type event struct {
	at  time.Duration
	seq int
	do  func()
}

type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return e[i].at < e[j].at || e[i].at == e[j].at && e[i].seq < e[j].seq
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }

// Push is heap.Interface's.
func (e *events) Push(x any) { *e = append(*e, x.(event)) }

// Pop is heap.Interface's.
func (e *events) Pop() any {
	old := *e
	x := old[len(old)-1]
	*e = old[:len(old)-1]
	return x
}
