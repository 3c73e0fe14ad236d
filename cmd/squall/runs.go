package main

import (
	"context"
	"fmt"
	"io"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/squall-faas/squall/client"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/value"
)

func (a *app) runGet() *cobra.Command {
	return &cobra.Command{
		Use: "get ID", Short: "Say how a run is, with its outputs once it has succeeded", Args: cobra.ExactArgs(1),
		RunE: a.with(func(ctx context.Context, c *client.Client, args []string) error {
			r, err := c.Attach(ctx, args[0])
			if err != nil {
				return err
			}
			s, err := r.Poll(ctx)
			if err != nil {
				return err
			}
			if s.Done() && s.Err == nil {
				out, err := r.Get(ctx)
				if err == nil {
					return a.printOutputs(out)
				}
				if !fault.Is(err, fault.UnknownRun) { // a sync call's outputs went to its caller alone
					return err
				}
			}
			x := struct {
				Run   string       `json:"run"`
				Name  string       `json:"name,omitempty"`
				State string       `json:"state"`
				Error *fault.Error `json:"error,omitempty"`
			}{args[0], s.Name, s.State, fault.From(s.Err)}
			return a.printObject(x, func(w io.Writer) error {
				_, err := fmt.Fprintln(w, s.State)
				if s.Err != nil && err == nil {
					_, err = fmt.Fprintln(w, s.Err)
				}
				return err
			})
		}),
	}
}

func (a *app) runWait() *cobra.Command {
	return &cobra.Command{
		Use: "wait ID", Short: "Wait for a run and print its outputs; fails as the run did", Args: cobra.ExactArgs(1),
		RunE: a.with(func(ctx context.Context, c *client.Client, args []string) error {
			r, err := c.Attach(ctx, args[0])
			if err != nil {
				return err
			}
			out, err := r.Get(ctx)
			if err != nil {
				return err
			}
			return a.printOutputs(out)
		}),
	}
}

func (a *app) runCancel() *cobra.Command {
	return &cobra.Command{
		Use: "cancel ID", Short: "Cancel a run; one that has ended stays as it is", Args: cobra.ExactArgs(1),
		RunE: a.with(func(ctx context.Context, c *client.Client, args []string) error {
			r, err := c.Attach(ctx, args[0])
			if err != nil {
				return err
			}
			return r.Cancel(ctx)
		}),
	}
}

// runView is a run in lists.
type runView struct {
	Run     string       `json:"run"`
	Target  string       `json:"target"`
	Name    string       `json:"name"`
	State   string       `json:"state"`
	Started time.Time    `json:"started"`
	Ended   *time.Time   `json:"ended,omitempty"`
	Durable bool         `json:"durable,omitempty"`
	Error   *fault.Error `json:"error,omitempty"`
}

func (a *app) runList() *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use: "ls", Short: "List open runs and the latest that have ended", Args: cobra.NoArgs,
		RunE: a.with(func(ctx context.Context, c *client.Client, _ []string) error {
			rs, err := c.Runs(ctx, limit)
			if err != nil {
				return err
			}
			t := table{header: []string{"RUN", "NAME", "STATE", "STARTED", "CODE"}}
			for _, r := range rs {
				v := runView{
					Run: r.Run.String(), Target: strings.ToLower(r.Target.String()), Name: r.Name, State: r.State.String(),
					Started: time.Unix(0, r.Started).UTC(), Durable: r.Durable, Error: r.Err,
				}
				code := ""
				if r.Err != nil {
					code = string(r.Err.Code)
				}
				if r.Ended != 0 {
					ended := time.Unix(0, r.Ended).UTC()
					v.Ended = &ended
				}
				t.add(v, v.Run, v.Name, v.State, ago(r.Started)+" ago", code)
			}
			return a.print(t)
		}),
	}
	cmd.Flags().IntVar(&limit, "limit", 100, "how many, 1000 at most")
	return cmd
}

func (a *app) printOutputs(out client.Outputs) error {
	v := outputsView{Run: out.Run(), State: "succeeded", Outputs: map[string]value.Value{}, TookNs: int64(out.Took())}
	names := out.Names()
	sort.Strings(names)
	for _, name := range names {
		v.Outputs[name], _ = out.Value(name)
	}
	for _, s := range out.Stats() {
		v.Nodes = append(v.Nodes, nodeView{s.Node, s.Calls, s.Again, int64(s.Busy), int64(s.Wait), int64(s.Max)})
	}
	return a.printObject(v, func(w io.Writer) error {
		for _, name := range names {
			if _, err := fmt.Fprintf(w, "%s = %s\n", name, forLine(v.Outputs[name])); err != nil {
				return err
			}
		}
		if len(v.Nodes) == 0 {
			return nil
		}
		var rows [][]string
		for _, n := range out.Stats() {
			rows = append(rows, []string{n.Node, strconv.Itoa(n.Calls), strconv.Itoa(n.Again), n.Busy.String(), n.Wait.String(), n.Max.String()})
		}
		if _, err := fmt.Fprintln(w); err != nil {
			return err
		}
		return printTable(w, []string{"NODE", "CALLS", "RETRIES", "BUSY", "WAIT", "LONGEST"}, rows)
	})
}

// forLine is a value where it must not break the line: as JSON, bytes by their number.
func forLine(v value.Value) string {
	if kind, b, err := v.Payload(); err == nil && kind == value.Bytes {
		return fmt.Sprintf("(%d bytes; -o json prints them)", len(b))
	}
	b, err := v.JSON()
	if err != nil {
		return "(" + fault.From(err).Message + ")"
	}
	return string(b)
}
