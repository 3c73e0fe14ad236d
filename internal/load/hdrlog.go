package load

import (
	"io"
	"strings"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// HDR writes the latencies as an HdrHistogram log, format 1.3, which HistogramLogAnalyzer and its like read: a line for each
// run's operation, in nanoseconds, tagged CASE:OPERATION, and CASE:OPERATION:actual for latency from the actual start.
func (r *Report) HDR(out io.Writer) error {
	log := hdrhistogram.NewHistogramLogWriter(out)
	if err := log.OutputLogFormatVersion(); err != nil {
		return err
	}
	if err := log.OutputComment("squall bench ycsb, workload " + r.Workload); err != nil {
		return err
	}
	if len(r.Runs) > 0 {
		if err := log.OutputStartTime(r.Runs[0].Began.UnixMilli()); err != nil {
			return err
		}
	}
	if err := log.OutputLegend(); err != nil {
		return err
	}
	for _, run := range r.Runs {
		from := run.Began.UnixMilli()
		for i := range run.Operations {
			op := &run.Operations[i]
			for tag, l := range map[string]*Latency{"": &op.Latency, ":actual": op.Service} {
				if l == nil {
					continue
				}
				h := l.histogram()
				if h == nil {
					continue
				}
				h.SetTag(strings.NewReplacer(",", "_", " ", "_").Replace(run.Case + ":" + op.Name + tag))
				h.SetStartTimeMs(from)
				h.SetEndTimeMs(from + int64(run.Seconds*1000))
				if err := log.OutputIntervalHistogram(h); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
