package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/squall-faas/squall/client"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

// asked is how a call wants to be run.
type asked struct {
	text, async, durable, trace bool
	key                         string
	refs                        []string
	runTime                     time.Duration
	level                       levelFlag
	ack                         ackFlag
	priority                    int
}

func (q *asked) flags(f *pflag.FlagSet) {
	f.BoolVar(&q.text, "string", false, "values are text as they stand")
	f.BoolVar(&q.async, "async", false, "print the run's id once it is admitted, and do not wait")
	f.BoolVar(&q.durable, "durable", false, "store the run before it starts: it survives the loss of every process")
	f.StringVar(&q.key, "idempotency-key", "", "calls of one target with one key are one run")
	f.DurationVar(&q.runTime, "run-time", 0, "most time that an --async run may take (default 24h)")
	f.Var(&q.level, "consistency", "`level` of state: "+levelNames())
	f.IntVar(&q.priority, "priority", 0, "among calls of one application that wait for a slot: -10 to 10")
	f.Var(&q.ack, "ack", "when writes of the functions are answered: `cached`, stored or durable (default cached, with --durable durable)")
}

func (q *asked) options() []client.CallOption {
	var out []client.CallOption
	if q.durable {
		out = append(out, client.Durable())
	}
	if q.trace {
		out = append(out, client.Trace())
	}
	if q.key != "" {
		out = append(out, client.IdempotencyKey(q.key))
	}
	if q.runTime != 0 {
		out = append(out, client.RunTime(q.runTime))
	}
	if q.level != 0 {
		out = append(out, client.Consistency(client.Level(q.level)))
	}
	if q.ack != 0 {
		out = append(out, client.WriteAck(kvs.Ack(q.ack)))
	}
	if q.priority != 0 {
		out = append(out, client.Priority(q.priority))
	}
	return out
}

func (a *app) callCommand() *cobra.Command {
	var q asked
	cmd := &cobra.Command{
		Use: "call NAME [VALUE…]", Short: "Call a function and print its result",
		Long: argumentsHelp + `
For people bytes and text are printed as they are, anything else as JSON; with -o json everything is JSON. Ctrl-C cancels
the call.`,
		Example: "  squall call increment 41\n  squall call greet --string World\n  squall call thumbnail @photo.jpg > small.jpg\n  squall call count --ref files/1\n  squall call visit home --string --consistency strong",
		Args:    cobra.MinimumNArgs(1),
		RunE: a.with(func(ctx context.Context, c *client.Client, args []string) error {
			var vs []any
			for _, s := range args[1:] {
				v, err := a.argument(s, q.text)
				if err != nil {
					return err
				}
				vs = append(vs, v)
			}
			for _, key := range q.refs {
				vs = append(vs, client.Ref(key))
			}
			if q.async {
				r, err := c.Start(ctx, args[0], vs, q.options()...)
				if err != nil {
					return err
				}
				return a.printStarted(r.ID())
			}
			v, err := c.CallValue(ctx, args[0], vs, q.options()...)
			if err != nil {
				return err
			}
			return a.printValue(v)
		}),
	}
	q.flags(cmd.Flags())
	cmd.Flags().StringArrayVar(&q.refs, "ref", nil, "one more argument: what is stored under `key`")
	return cmd
}

func (a *app) runCommand() *cobra.Command {
	var q asked
	cmd := &cobra.Command{
		Use: "run DAG [INPUT=VALUE…]", Short: "Run a DAG and print its outputs; or look after runs",
		Long: argumentsHelp + `
Ctrl-C cancels the run.`,
		Example: "  squall run compose x=2\n  squall run compose x=2 --trace\n  squall run identifiers files=@list --async --durable\n  squall run wait 0190a2c4-…",
		Args:    cobra.MinimumNArgs(1),
		RunE: a.with(func(ctx context.Context, c *client.Client, args []string) error {
			in, err := a.inputs(args[1:], q)
			if err != nil {
				return err
			}
			if q.async {
				r, err := c.StartDAG(ctx, args[0], in, q.options()...)
				if err != nil {
					return err
				}
				return a.printStarted(r.ID())
			}
			out, err := c.CallDAG(ctx, args[0], in, q.options()...)
			if err != nil {
				return err
			}
			return a.printOutputs(out)
		}),
	}
	f := cmd.Flags()
	q.flags(f)
	f.BoolVar(&q.trace, "trace", false, "say where the time went, by node")
	f.StringArrayVar(&q.refs, "ref", nil, "`input=key`: the input is what is stored under the key")
	cmd.AddCommand(a.runGet(), a.runWait(), a.runCancel(), a.runList())
	return cmd
}

func (a *app) inputs(args []string, q asked) (client.Inputs, error) {
	in := client.Inputs{}
	set := func(name string, x any) error {
		if _, twice := in[name]; twice {
			return fault.New(fault.InvalidArgument, "input %q is given twice", name)
		}
		in[name] = x
		return nil
	}
	for _, s := range args {
		name, text, ok := strings.Cut(s, "=")
		if !ok {
			return nil, fault.New(fault.InvalidArgument, "input %q: write name=value", s)
		}
		v, err := a.argument(text, q.text)
		if err != nil {
			return nil, fault.New(fault.CodeOf(err), "input %s: %w", name, err)
		}
		if err := set(name, v); err != nil {
			return nil, err
		}
	}
	for _, s := range q.refs {
		name, key, ok := strings.Cut(s, "=")
		if !ok {
			return nil, fault.New(fault.InvalidArgument, "--ref %q: write input=key", s)
		}
		if err := set(name, client.Ref(key)); err != nil {
			return nil, err
		}
	}
	return in, nil
}

func (a *app) printStarted(run string) error {
	return a.printObject(map[string]string{"run": run, "state": "running"}, func(w io.Writer) error {
		_, err := fmt.Fprintln(w, run)
		return err
	})
}

// outputsView is what a run answered with.
type outputsView struct {
	Run     string                 `json:"run"`
	State   string                 `json:"state"`
	Outputs map[string]value.Value `json:"outputs"`
	TookNs  int64                  `json:"took_ns"`
	Nodes   []nodeView             `json:"nodes,omitempty"`
}

type nodeView struct {
	Node   string `json:"node"`
	Calls  int    `json:"calls"`
	Again  int    `json:"again,omitempty"`
	BusyNs int64  `json:"busy_ns"`
	WaitNs int64  `json:"wait_ns"`
	MaxNs  int64  `json:"max_ns"`
}
