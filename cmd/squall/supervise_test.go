package main

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/squall-faas/squall/fault"
)

// troupe hands out fake processes, one for each start.
type troupe struct {
	starts int
	play   func(n int, p *fake)
}

// fake is a process that does what a test says.
type fake struct {
	beats         chan struct{}
	ended         chan error
	asked, killed chan struct{}
}

func (tr *troupe) spawn() (*process, error) {
	tr.starts++
	f := &fake{make(chan struct{}), make(chan error, 1), make(chan struct{}), make(chan struct{})}
	go tr.play(tr.starts, f)
	return &process{beats: f.beats, ended: f.ended, stop: func() { close(f.asked) }, kill: func() { close(f.killed) }}, nil
}

var (
	errDied  = fault.New(fault.ExecutorCrashed, "died")
	errUsage = fault.New(fault.InvalidArgument, "no such flag")
)

func TestSupervisorRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := &troupe{play: func(n int, f *fake) {
			switch n {
			case 1: // dies at once
				f.ended <- errDied
			case 2: // beats, then falls silent
				for range 5 {
					f.beats <- struct{}{}
					<-time.After(beatEach)
				}
				<-f.killed
				f.ended <- errors.New("killed")
			case 3: // crashes with Go's code, which is that of wrong usage
				f.beats <- struct{}{}
				f.ended <- errUsage
			case 4: // never says a word
				<-f.killed
				f.ended <- errors.New("killed")
			default: // ends well
				f.beats <- struct{}{}
				f.ended <- nil
			}
		}}
		began := time.Now()
		s := &supervisor{spawn: tr.spawn, grace: time.Second, log: slog.New(slog.DiscardHandler)}
		if err := s.run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if tr.starts != 5 || time.Since(began) > startLimit+2*beatLimit+time.Minute {
			t.Fatalf("%d starts in %v", tr.starts, time.Since(began))
		}
	})
}

func TestSupervisorEnds(t *testing.T) {
	for name, play := range map[string]func(n int, f *fake){
		"asked": func(_ int, f *fake) { <-f.asked; f.ended <- nil },
		"killed after its grace": func(_ int, f *fake) {
			for {
				f.beats <- struct{}{}
				select {
				case <-time.After(beatEach):
				case <-f.killed:
					f.ended <- errDied
					return
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
				defer cancel()
				tr := &troupe{play: play}
				s := &supervisor{spawn: tr.spawn, grace: 5 * time.Second, log: slog.New(slog.DiscardHandler)}
				began := time.Now()
				_ = s.run(ctx)
				if took := time.Since(began); tr.starts != 1 || took > 10*time.Second {
					t.Fatalf("%d starts in %v", tr.starts, took)
				}
			})
		})
	}
}

func TestSupervisorGivesUp(t *testing.T) {
	s := &supervisor{log: slog.New(slog.DiscardHandler), spawn: (&troupe{play: func(_ int, f *fake) { f.ended <- errUsage }}).spawn}
	if err := s.run(t.Context()); !errors.Is(err, errUsage) {
		t.Fatal(err)
	}
}

// occupancy is an executor's slots as awaitEnd sees them.
type occupancy struct{ stuck, slots int }

// Stuck is how many are held.
func (o *occupancy) Stuck() int { return o.stuck }

// Slots is how many there are.
func (o *occupancy) Slots() int { return o.slots }

func TestExecutorGivesUpWhenHalfItsSlotsAreStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if awaitEnd(ctx, &occupancy{1, 4}) {
			t.Fatal("one of four is not half")
		}
		if !awaitEnd(t.Context(), &occupancy{2, 4}) {
			t.Fatal("two of four are half")
		}
	})
}
