package main

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/squall-faas/squall"
	"github.com/squall-faas/squall/client"
	"github.com/squall-faas/squall/internal/wire"
)

// statusView is how a namespace is.
type statusView struct {
	Server    string         `json:"server"`
	Namespace string         `json:"namespace"`
	AnswerNs  int64          `json:"answer_ns"` // of the coordinator
	Executors []executorView `json:"executors"`
	Functions int            `json:"functions"`
	DAGs      int            `json:"dags"`
	OpenRuns  int            `json:"open_runs"` // of the latest thousand
	FailedRun int            `json:"failed_runs"`
}

type executorView struct {
	Name    string `json:"name"`
	State   string `json:"state"` // up, draining or suspect
	Slots   int    `json:"slots"`
	Busy    int    `json:"busy"`
	Queued  int    `json:"queued"`
	Runs    int    `json:"runs"`
	Natives int    `json:"natives"`
	Cached  int64  `json:"cached_bytes"`
	AgeNs   int64  `json:"age_ns"` // of the last heartbeat
	Release string `json:"release,omitempty"`
}

func (a *app) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Say how the cluster is", Args: cobra.NoArgs,
		RunE: a.with(func(ctx context.Context, c *client.Client, _ []string) error {
			v := statusView{Server: bare(a.set.Server), Namespace: c.Namespace(), Executors: []executorView{}}
			if v.Server == "" {
				v.Server = "nats://127.0.0.1:4222"
			}
			began := time.Now()
			members, err := c.Members(ctx)
			if err != nil {
				return err
			}
			v.AnswerNs = int64(time.Since(began))
			for _, m := range members {
				v.Executors = append(v.Executors, viewOfMember(m))
			}
			fs, err := c.Functions(ctx)
			if err != nil {
				return err
			}
			gs, err := c.DAGs(ctx)
			if err != nil {
				return err
			}
			rs, err := c.Runs(ctx, 1000)
			if err != nil {
				return err
			}
			v.Functions, v.DAGs = len(fs), len(gs)
			for _, r := range rs {
				switch r.State {
				case wire.Running:
					v.OpenRuns++
				case wire.Errored:
					v.FailedRun++
				}
			}
			return a.printObject(v, v.people)
		}),
	}
}

func viewOfMember(m wire.Member) executorView {
	h := m.Heartbeat
	v := executorView{
		Name: h.From.Name, State: h.Condition.String(), Slots: h.Slots, Busy: h.Busy, Queued: h.Queued, Runs: h.Runs,
		Natives: len(h.Natives), Cached: h.CacheLen, AgeNs: m.Age, Release: h.Release,
	}
	if m.Suspect {
		v.State = "suspect"
	}
	return v
}

func (v statusView) people(w io.Writer) error {
	_, err := fmt.Fprintf(w, "NATS         %s\nnamespace    %s\ncoordinator  answers in %v\nfunctions    %d\nDAGs         %d\nruns         %d open, %d of the latest failed\n\n",
		v.Server, v.Namespace, time.Duration(v.AnswerNs).Round(time.Microsecond), v.Functions, v.DAGs, v.OpenRuns, v.FailedRun)
	if err != nil {
		return err
	}
	if len(v.Executors) == 0 {
		_, err := fmt.Fprintln(w, "no executors: 'squall executor' starts one")
		return err
	}
	var rows [][]string
	for _, e := range v.Executors {
		rows = append(rows, []string{
			e.Name, e.State, fmt.Sprintf("%d/%d", e.Busy, e.Slots), strconv.Itoa(e.Queued), strconv.Itoa(e.Runs),
			strconv.Itoa(e.Natives), size(e.Cached), time.Duration(e.AgeNs).Round(time.Millisecond).String(), e.Release,
		})
	}
	return printTable(w, []string{"EXECUTOR", "STATE", "BUSY", "QUEUED", "RUNS", "NATIVES", "CACHED", "HEARD", "RELEASE"}, rows)
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			x := map[string]string{"version": squall.Version, "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH}
			if info, ok := debug.ReadBuildInfo(); ok {
				for _, s := range info.Settings {
					if s.Key == "vcs.revision" {
						x["revision"] = s.Value
					}
				}
			}
			return a.printObject(x, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "squall %s %s %s %s\n", x["version"], x["go"], x["platform"], x["revision"])
				return err
			})
		},
	}
}
