// Pipeline runs a chain of functions with several outputs, one step of which fails at first and is retried.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/squall-faas/squall"
	"github.com/squall-faas/squall/client"
	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/fn"
)

// Reading is what one station measured.
type Reading struct {
	Station string
	Celsius float64
}

// Summary is what all stations measured.
type Summary struct {
	Stations         int
	Coldest, Warmest string
	Mean             float64
}

const report = `lighthouse 11.4
harbour 13.0
hill 8.1
airfield 12.3
forest 9.2
`

// parse reads one reading from each line.
func parse(_ fn.Context, text string) ([]Reading, error) {
	var out []Reading
	for line := range strings.Lines(text) {
		station, number, ok := strings.Cut(strings.TrimSpace(line), " ")
		celsius, err := strconv.ParseFloat(number, 64)
		if !ok || err != nil {
			return nil, fmt.Errorf("line %q is no reading: write a station and its degrees", strings.TrimSpace(line))
		}
		out = append(out, Reading{station, celsius})
	}
	return out, nil
}

// service stands for something outside that is down at first, as such things are.
type service struct{ calls atomic.Int32 }

// offsets asks the service how far each station's thermometer is off.
func (s *service) offsets(c fn.Context, readings []Reading) (map[string]float64, error) {
	if n := s.calls.Add(1); n <= 2 {
		return nil, fmt.Errorf("the calibration service refused call %d", n)
	}
	return map[string]float64{"hill": 0.5, "forest": -0.2}, nil
}

// calibrate corrects the readings.
func calibrate(_ fn.Context, readings []Reading, offsets map[string]float64) ([]Reading, error) {
	out := make([]Reading, len(readings)) // arguments are shared, and so never written to
	for i, r := range readings {
		out[i] = Reading{r.Station, r.Celsius + offsets[r.Station]}
	}
	return out, nil
}

func summarize(_ fn.Context, readings []Reading) (Summary, error) {
	if len(readings) == 0 {
		return Summary{}, errors.New("there are no readings")
	}
	s := Summary{Stations: len(readings)}
	low, high := readings[0], readings[0]
	for _, r := range readings {
		if r.Celsius < low.Celsius {
			low = r
		}
		if r.Celsius > high.Celsius {
			high = r
		}
		s.Mean += r.Celsius / float64(len(readings))
	}
	s.Coldest, s.Warmest = low.Station, high.Station
	return s, nil
}

// cold lists the stations below a limit.
func cold(_ fn.Context, readings []Reading, limit float64) ([]string, error) {
	var out []string
	for _, r := range readings {
		if r.Celsius < limit {
			out = append(out, r.Station)
		}
	}
	return out, nil
}

func headline(_ fn.Context, s Summary, cold []string) (string, error) {
	return fmt.Sprintf("%.1f degrees on average, warmest at the %s; cold at the %s", s.Mean, s.Warmest, strings.Join(cold, " and the ")), nil
}

// setup registers the functions and the DAG:
//
//	text ─▶ parse ─┬─▶ offsets (retried) ─┐
//	               └──────────────────────┴▶ calibrate ─┬─▶ summarize ─┬─▶ headline
//	                                                    └─▶ cold ──────┘
func setup(ctx context.Context, c *client.Client) error {
	var calibration service
	var errs []error
	for name, impl := range map[string]client.Impl{
		"parse":     client.Native(parse),
		"offsets":   client.Native(calibration.offsets),
		"calibrate": client.Native2(calibrate),
		"summarize": client.Native(summarize),
		"cold":      client.Native2(cold),
		"headline":  client.Native2(headline),
	} {
		_, err := c.Register(ctx, name, impl)
		errs = append(errs, err)
	}
	b := dag.New("weather")
	readings := b.Call("parse", "parse", b.Input("text"))
	// Up to five further tries; the pause before them is 5 ms at first and doubles, with jitter, up to 100 ms.
	offsets := b.Call("offsets", "offsets", readings, dag.Retries(5, 5*time.Millisecond, 100*time.Millisecond), dag.Timeout(time.Second))
	calibrated := b.Call("calibrate", "calibrate", readings, offsets)
	summary := b.Call("summarize", "summarize", calibrated)
	low := b.Call("cold", "cold", calibrated, 9.1) // a constant argument
	b.Output("summary", summary)
	b.Output("cold", low)
	b.Output("headline", b.Call("headline", "headline", summary, low))
	g, err := b.Build()
	if err = errors.Join(append(errs, err)...); err != nil {
		return err
	}
	_, err = c.RegisterDAG(ctx, g)
	return err
}

func run(ctx context.Context, w io.Writer) (err error) {
	s, err := squall.Open(ctx, squall.Config{Executors: 2})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := setup(ctx, s.Client); err != nil {
		return err
	}
	out, err := s.CallDAG(ctx, "weather", client.Inputs{"text": report}, client.Trace())
	if err != nil {
		return err
	}
	summary, e1 := client.Output[Summary](out, "summary")
	low, e2 := client.Output[[]string](out, "cold")
	line, e3 := client.Output[string](out, "headline")
	if err := errors.Join(e1, e2, e3); err != nil {
		return err
	}
	fmt.Fprintf(w, "summary:  %d stations, %s to %s, mean %.2f\n", summary.Stations, summary.Coldest, summary.Warmest, summary.Mean)
	fmt.Fprintf(w, "cold:     %s\n", strings.Join(low, ", "))
	fmt.Fprintf(w, "headline: %s\n", line)
	for _, node := range out.Stats() {
		if node.Again > 0 {
			fmt.Fprintf(w, "node %s was tried %d times\n", node.Node, node.Again+1)
		}
	}
	// What no try can mend ends the run, and the error says where it happened.
	_, err = s.CallDAG(ctx, "weather", client.Inputs{"text": "lighthouse warm\n"})
	fmt.Fprintf(w, "and a bad report: %v\n", err)
	return nil
}

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		log.Fatal(err)
	}
}
