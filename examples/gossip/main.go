// Gossip averages readings that no one function has all of: members that run at the same time, on several nodes, send
// each other messages until each knows the average (push-sum, Kempe et al. 2003).
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"slices"
	"sync"

	"github.com/squall-faas/squall"
	"github.com/squall-faas/squall/client"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/fn"
)

// Hello is what a member sends to the organiser: its sender's address is how the others reach it.
type Hello struct {
	Failed bool // there is no member: its call has failed
}

// Letter is what a member receives, from the organiser or from another member. A receiver has one mailbox for all.
type Letter struct {
	Members []string // of the organiser's: the addresses of all
	Share   Share    // of a member's
}

// Share is half of what a member had in a round, from 1. All sums and all weights together stay the same.
type Share struct {
	Round       int
	Sum, Weight float64
}

// member says hello to the organiser, hears who the others are, and gives its estimate of the average.
func member(c fn.Context, organiser string, reading float64) (float64, error) {
	if err := fn.Send(c, organiser, Hello{}); err != nil {
		return 0, err
	}
	shares := map[int]Share{} // by round: a member that is ahead sends early, even before the organiser's letter is here
	var members []string
	receive := func() error {
		letter, from, err := fn.Recv[Letter](c) // gives the slot to another member meanwhile
		if err != nil {
			return err
		}
		if from == organiser {
			members = letter.Members
			if len(members) == 0 {
				return errors.New("called off: another member has failed")
			}
			return nil
		}
		shares[letter.Share.Round] = letter.Share
		return nil
	}
	for len(members) == 0 {
		if err := receive(); err != nil {
			return 0, err
		}
	}
	me := slices.Index(members, c.Address())
	sum, weight := reading, 1.0
	for round := 1; 1<<(round-1) < len(members); round++ {
		// Each sends to one other, twice as far away in each round, and so hears from all, directly or through others.
		to := members[(me+1<<(round-1))%len(members)]
		sum, weight = sum/2, weight/2
		if err := fn.Send(c, to, Letter{Share: Share{round, sum, weight}}); err != nil {
			return 0, err
		}
		for shares[round].Round == 0 {
			if err := receive(); err != nil {
				return 0, err
			}
		}
		sum, weight = sum+shares[round].Sum, weight+shares[round].Weight
	}
	return sum / weight, nil
}

// Average is what came of it.
type Average struct {
	Estimates []float64
	Organiser string // the address of the function that has found it
}

// average starts a member for each reading and introduces them to each other.
func average(c fn.Context, readings []float64) (Average, error) {
	out := Average{make([]float64, len(readings)), c.Address()}
	errs := make([]error, len(readings))
	var all sync.WaitGroup
	for i, reading := range readings {
		all.Go(func() {
			out.Estimates[i], errs[i] = fn.Call[float64](c, "member", c.Address(), reading)
			if errs[i] != nil {
				errs[i] = errors.Join(errs[i], fn.Send(c, c.Address(), Hello{Failed: true})) // nobody shall wait for it
			}
		})
	}
	err := introduce(c, len(readings))
	all.Wait()
	return out, errors.Join(append(errs, err)...)
}

// introduce waits for n members and tells each of them who all are: nobody, if one has failed.
func introduce(c fn.Context, n int) error {
	var here, members []string
	for range n {
		hello, from, err := fn.Recv[Hello](c)
		if err != nil {
			return err
		}
		if !hello.Failed {
			here = append(here, from)
		}
	}
	if len(here) == n {
		members = here
	}
	for _, to := range here {
		if err := fn.Send(c, to, Letter{Members: members}); err != nil {
			return err
		}
	}
	return nil
}

// greet sends to whoever has an address.
func greet(c fn.Context, to string) (string, error) { return "sent", fn.Send(c, to, "good morning") }

func run(ctx context.Context, w io.Writer) (err error) {
	// Six slots, and nine functions that wait for one another: one that waits has given its slot back.
	s, err := squall.Open(ctx, squall.Config{Executors: 3, Slots: 2})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	_, e1 := s.Register(ctx, "member", client.Native2(member))
	_, e2 := s.Register(ctx, "average", client.Native(average))
	_, e3 := s.Register(ctx, "greet", client.Native(greet))
	if err := errors.Join(e1, e2, e3); err != nil {
		return err
	}
	found, err := client.Call[Average](ctx, s.Client, "average", []float64{11.4, 13.0, 8.1, 12.3, 9.2, 10.6, 7.9, 13.5})
	if err != nil {
		return err
	}
	for i, estimate := range found.Estimates {
		fmt.Fprintf(w, "member %d found %.2f degrees\n", i+1, estimate)
	}
	// An address is good for as long as its function runs.
	_, err = client.Call[string](ctx, s.Client, "greet", found.Organiser)
	if !fault.Is(err, fault.NotFound) {
		return fmt.Errorf("a message to a function that has returned: want not_found, got %w", err)
	}
	fmt.Fprintln(w, "the organiser has returned: nobody is there to be greeted")
	return nil
}

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		log.Fatal(err)
	}
}
