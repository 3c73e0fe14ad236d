package load

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/squall-faas/squall/fault"
)

// Schema is the version of a Report's JSON: within it, fields are added and never changed.
const Schema = "squall.load/1"

// Report is the runs of one workload: of several cases, each repeated or not.
type Report struct {
	Schema     string            `json:"schema"`
	Env        map[string]any    `json:"env"`
	Workload   string            `json:"workload"`
	Properties map[string]string `json:"properties"`
	Runs       []*Run            `json:"runs"`
	// Held are the Ratios, for who reads the JSON.
	Held map[string]float64 `json:"ratios,omitempty"`
}

// NewReport begins one of a workload by its name.
func NewReport(workload string, properties map[string]string, release string) *Report {
	return &Report{
		Schema: Schema, Workload: workload, Properties: properties,
		Env: map[string]any{"squall": release, "go": runtime.Version(), "os": runtime.GOOS, "arch": runtime.GOARCH, "cpus": runtime.NumCPU()},
	}
}

// CaseName names what a run measured, without spaces: target, durability, what a call has, threads, rate.
func (r *Run) CaseName() string {
	parts := []string{r.Target}
	if r.Durability != "" {
		parts = append(parts, r.Durability)
	}
	if r.PerCall > 1 {
		parts = append(parts, fmt.Sprintf("k%d", r.PerCall))
	}
	parts = append(parts, fmt.Sprintf("t%d", r.Threads))
	if r.Offered > 0 {
		parts = append(parts, fmt.Sprintf("%gops", r.Offered))
	}
	if r.Phase == "load" {
		parts = append(parts, "load")
	}
	return strings.Join(parts, "/")
}

// JSON writes the report as one object.
func (r *Report) JSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", " ")
	r.Held = r.Ratios()
	return e.Encode(r)
}

// ReadReport reads what JSON has written; invalid_argument for anything else.
func ReadReport(path string) (*Report, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fault.New(fault.NotFound, "result file: %w: name one that `squall bench ycsb --save` has written", err)
	}
	var r Report
	if err := json.Unmarshal(b, &r); err != nil {
		return nil, fault.New(fault.InvalidArgument, "%s is no result of squall bench ycsb: %w", path, err)
	}
	if r.Schema != Schema {
		return nil, fault.New(fault.Unsupported, "%s has schema %.40q, this program reads %s: take a release that fits", path, r.Schema, Schema)
	}
	return &r, nil
}

// WriteFile writes a result file whole or not at all, and tells what kept it from being written, a full disk for one. What is
// no regular file is written to as it is.
func WriteFile(path string, write func(io.Writer) error) (err error) {
	wrap := func(err error) error {
		if err == nil {
			return nil
		}
		return fault.New(fault.Unavailable, "results were not written to %s: %w: free some space or name another place", path, err)
	}
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return wrap(err)
		}
		return wrap(errors.Join(write(f), f.Close()))
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return wrap(err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return wrap(err)
	}
	err = errors.Join(write(f), f.Sync(), f.Close())
	if err == nil {
		err = os.Chmod(f.Name(), 0o644)
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name()) // it is of no use
	}
	return wrap(err)
}

// group is the runs of one case.
type group struct {
	name string
	runs []*Run
}

// groups are the cases, in the order in which they first ran.
func (r *Report) groups() []group {
	var out []group
	for _, run := range r.Runs {
		i := slices.IndexFunc(out, func(g group) bool { return g.name == run.Case })
		if i < 0 {
			out = append(out, group{name: run.Case})
			i = len(out) - 1
		}
		out[i].runs = append(out[i].runs, run)
	}
	return out
}

// ops are the names of a case's operations, as its runs have them.
func (g group) ops() []string {
	var out []string
	for _, run := range g.runs {
		for _, op := range run.Operations {
			if !slices.Contains(out, op.Name) {
				out = append(out, op.Name)
			}
		}
	}
	slices.SortStableFunc(out, func(a, b string) int { return cmp.Compare(rank(a), rank(b)) })
	return out
}

// rank puts what sums up behind what it sums up.
func rank(op string) int { return slices.Index([]string{All, Call}, op) }

// over gives one figure of each run that has the operation.
func (g group) over(op string, of func(*Operation) float64) []float64 {
	var out []float64
	for _, run := range g.runs {
		if o := run.Op(op); o != nil {
			out = append(out, of(o))
		}
	}
	return out
}

// each gives one figure of each run.
func (g group) each(of func(*Run) float64) []float64 {
	out := make([]float64, len(g.runs))
	for i, run := range g.runs {
		out[i] = of(run)
	}
	return out
}

// median of figures; 0 of none.
func median(x []float64) float64 {
	if len(x) == 0 {
		return 0
	}
	x = slices.Sorted(slices.Values(x))
	return (x[len(x)/2] + x[(len(x)-1)/2]) / 2
}
