// Package functions is what the conformance suite of the runtimes runs: the same funcs natively and as WebAssembly.
package functions

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/fn"
	"github.com/squall-faas/squall/value"
)

// Table has every function by name.
var Table = map[string]fn.Impl{
	"add":      fn.Native2(Add),
	"echo":     fn.Native(Echo),
	"upper":    fn.Native(Upper),
	"move":     fn.Native2(Move),
	"rev":      fn.Native(Rev),
	"pass":     fn.Native(Pass),
	"six":      fn.Native0(Six),
	"join3":    fn.Native3(Join3),
	"nothing":  fn.Effect(Nothing),
	"keep":     fn.Native(Keep),
	"fails":    fn.Native(Fails),
	"panics":   fn.Native(Panics),
	"index":    fn.Native(Index),
	"makesup":  fn.Native(MakesUp),
	"wait":     fn.Native0(Wait),
	"own":      fn.Native0(OwnTimeout),
	"state":    fn.Native(State),
	"lookup":   fn.Native(Lookup),
	"calls":    fn.Native(Calls),
	"callsdag": fn.Native(CallsDAG),
	"about":    fn.Native0(About),
	"logs":     fn.Native(Logs),
	"goexit":   fn.Native0(Goexit),

	"updates":      fn.Native(Updates),
	"updatesfield": fn.Native(UpdatesField),
	"addfield":     fn.Native2(AddField),
	"count":        fn.Native2(Count),
	"getmany":      fn.Native(GetMany),
	"siblings":     fn.Native(Siblings),
	"putwith":      fn.Native3(PutWith),
	"answers":      fn.Native(Answers),
	"asks":         fn.Native2(Asks),
	"sends":        fn.Native2(Sends),
	"floods":       fn.Native0(Floods),
	"receives":     fn.Native0(Receives),

	// Only where they cannot hurt the process.
	"exit":      fn.Native(Exit),
	"spin":      fn.Native0(Spin),
	"calltree":  fn.Native(CallTree),
	"deep":      fn.Native(Deep),
	"hog":       fn.Native0(Hog),
	"sleep":     fn.Native(Sleep),
	"zeros":     fn.Native(Zeros),
	"crash":     fn.Native0(Crash),
	"prints":    fn.Native(Prints),
	"escapes":   fn.Native0(Escapes),
	"churn":     fn.Native(Churn),
	"leftovers": fn.Native0(Leftovers),
}

// Point is a small struct.
type Point struct {
	X, Y float64
	Name string
	Tags []string
}

func Add(_ fn.Context, a, b int) (int, error)               { return a + b, nil }
func Echo(_ fn.Context, b []byte) ([]byte, error)           { return b, nil }
func Upper(_ fn.Context, s string) (string, error)          { return "<" + s + ">", nil }
func Pass(_ fn.Context, v value.Value) (value.Value, error) { return v, nil }
func Six(fn.Context) (float64, error)                       { return 6.5, nil }
func Nothing(fn.Context, int) error                         { return nil }

func Move(_ fn.Context, p Point, by float64) (Point, error) {
	return Point{p.X + by, p.Y + by, p.Name + "'", p.Tags}, nil
}

// Rev turns a list round.
func Rev(_ fn.Context, xs []int) ([]int, error) {
	if xs == nil {
		return nil, nil
	}
	out := make([]int, len(xs))
	for i, x := range xs {
		out[len(xs)-1-i] = x
	}
	return out, nil
}

func Join3(_ fn.Context, a string, b bool, c map[string]int) (string, error) {
	return fmt.Sprint(a, b, len(c)), nil
}

var kept []byte

// Keep gives back the argument of the call before, which it has held on to.
func Keep(_ fn.Context, b []byte) ([]byte, error) {
	before := kept
	kept = b
	return before, nil
}

func Fails(_ fn.Context, why string) (int, error)  { return 0, errors.New(why) }
func Panics(_ fn.Context, why string) (int, error) { panic(why) }

// Index runs into a run-time panic.
func Index(_ fn.Context, i int) (int, error) { return []int{1, 2, 3}[i], nil }

// MakesUp returns a fault that did not come from Squall.
func MakesUp(_ fn.Context, code string) (int, error) {
	return 0, fault.New(fault.Code(code), "made up")
}

func Wait(c fn.Context) (int, error) {
	<-c.Done()
	return 0, c.Err()
}

// OwnTimeout fails by a context of its own while the invocation has all the time in the world.
func OwnTimeout(c fn.Context) (int, error) {
	own, cancel := context.WithTimeout(c, time.Microsecond)
	defer cancel()
	<-own.Done()
	return 0, own.Err()
}

// State writes, reads, deletes, and reads again.
func State(c fn.Context, key string) ([]int, error) {
	if err := fn.Put(c, key, []int{1, 2, 3}); err != nil {
		return nil, err
	}
	xs, err := fn.Get[[]int](c, key)
	if err != nil {
		return nil, err
	}
	if err := c.Delete(key); err != nil {
		return nil, err
	}
	if _, err := c.GetValue(key); !fault.Is(err, fault.NotFound) {
		return nil, fmt.Errorf("after delete: %v", err)
	}
	return xs, nil
}

// Lookup fails as its Get does.
func Lookup(c fn.Context, key string) (int, error) {
	n, err := fn.Get[int](c, key)
	if err != nil {
		return 0, fmt.Errorf("look up %s: %w", key, err)
	}
	return n, nil
}

func Calls(c fn.Context, n int) (int, error) { return fn.Call[int](c, "double", n) }

func CallsDAG(c fn.Context, n int) (string, error) {
	out, err := fn.CallDAG(c, "pair", map[string]any{"n": n, "s": "x"})
	if err != nil {
		return "", err
	}
	a, err := value.As[int](out["a"])
	if err != nil {
		return "", err
	}
	b, err := value.As[string](out["b"])
	return fmt.Sprint(a, b), err
}

// About gives the run's id and whether it has a deadline in the future.
func About(c fn.Context) (map[string]string, error) {
	at, ok := c.Deadline()
	return map[string]string{"run": c.RunID(), "deadline": fmt.Sprint(ok && time.Until(at) > time.Minute)}, nil
}

func Logs(c fn.Context, n int) (int, error) {
	c.Log("counting", "n", n, "err", errors.New("none"))
	return n, nil
}

// Goexit ends its goroutine.
func Goexit(fn.Context) (int, error) {
	runtime.Goexit()
	return 0, nil
}

func Exit(_ fn.Context, status int) (int, error) {
	os.Exit(status)
	return 0, nil
}

var sink int

func Spin(fn.Context) (int, error) {
	for {
		sink++
	}
}

// CallTree makes 2^n calls and no loop.
func CallTree(_ fn.Context, n int) (int, error) { return tree(n), nil }

//go:noinline
func tree(n int) int {
	if n == 0 {
		return 1
	}
	return tree(n-1) + tree(n-1)
}

// Deep recurses n deep.
func Deep(_ fn.Context, n int) (int, error) { return deep(n), nil }

//go:noinline
func deep(n int) int {
	if n == 0 {
		return 0
	}
	var pad [16]int
	pad[n%16] = n
	return deep(n-1) + pad[(n+1)%16]
}

var hoard [][]byte

func Hog(fn.Context) (int, error) {
	for {
		hoard = append(hoard, make([]byte, 1<<20))
	}
}

func Sleep(_ fn.Context, d time.Duration) (int, error) {
	time.Sleep(d)
	return 1, nil
}

func Zeros(_ fn.Context, n int) ([]byte, error) { return make([]byte, n), nil }

// Crash panics on a goroutine where nobody can recover it.
func Crash(fn.Context) (int, error) {
	go func() { panic("in the background") }()
	time.Sleep(time.Hour)
	return 0, nil
}

func Prints(_ fn.Context, n int) (int, error) {
	for i := range n {
		fmt.Println("line", i)
	}
	fmt.Fprint(os.Stderr, "no newline")
	return n, nil
}

// Escapes tries to reach the world outside.
func Escapes(fn.Context) ([]string, error) {
	var got []string
	if _, err := os.ReadFile("/etc/passwd"); err == nil {
		got = append(got, "file")
	}
	if _, err := os.ReadDir("."); err == nil {
		got = append(got, "dir")
	}
	if err := os.WriteFile("x", nil, 0o600); err == nil {
		got = append(got, "write")
	}
	if len(os.Environ()) > 0 {
		got = append(got, "env")
	}
	if len(os.Args) > 0 && os.Args[0] != "" {
		got = append(got, "args")
	}
	return got, nil
}

// Churn makes n MiB of garbage, a few at a time.
func Churn(_ fn.Context, n int) (int, error) {
	sum := 0
	for i := range n {
		b := make([]byte, 1<<20)
		b[i] = 1
		sum += len(b)
	}
	return sum >> 20, nil
}

// Leftovers returns while a goroutine of it goes on.
func Leftovers(c fn.Context) (int, error) {
	go func() {
		for {
			time.Sleep(time.Millisecond)
			if _, err := c.GetValue("k"); err != nil && !fault.Is(err, fault.NotFound) {
				return
			}
		}
	}()
	return 1, nil
}
