package main

import (
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/squall-faas/squall"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/bench"
)

// benchCommand is `squall bench`, the benchmarks.
func benchCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure Squall beside its floor",
		Long: "Each suite starts what it measures as processes on loopback, measures its cases interleaved in one run, " +
			"verifies every answer, and prints rows and ratios. Read the ratios: single figures depend on the machine.",
		Args: cobra.NoArgs,
	}
	cmd.AddCommand(benchComposeCommand(), benchNodeCommand())
	return cmd
}

func benchComposeCommand() *cobra.Command {
	var suite bench.Compose
	var output string
	cmd := &cobra.Command{
		Use:   "compose",
		Short: "square(increment(x)) against bare NATS and TCP, chains, durable calls, cache hits, recovery",
		Args:  cobra.NoArgs,
		Example: `  squall bench compose                          # everything, a few minutes
  squall bench compose --quick                  # does it all run?
  squall bench compose --only floor,compose_same -o json`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			write, ok := map[string]func(*bench.Report) error{
				"json":  func(r *bench.Report) error { return r.JSON(cmd.OutOrStdout()) },
				"table": func(r *bench.Report) error { return r.Table(cmd.OutOrStdout()) },
			}[output]
			if !ok {
				return fault.New(fault.InvalidArgument, "no output form %q: use table or json", output)
			}
			path, err := os.Executable()
			if err != nil {
				return fault.New(fault.Unavailable, "find this program, to start it as nodes: %w", err)
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			suite.Launch = bench.Launch{Path: path, Args: []string{"bench", "node"}}
			suite.Release = squall.Version
			suite.Progress = cmd.ErrOrStderr()
			report, err := suite.Run(ctx)
			if err != nil {
				return err
			}
			return write(report)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&output, "output", "o", "table", "table or json")
	f.IntVar(&suite.Calls, "calls", 0, "calls of each case (default 5000; four times as many where many are outstanding)")
	f.BoolVar(&suite.Quick, "quick", false, "a few calls of each case, to see that all run; the figures mean nothing")
	f.StringSliceVar(&suite.Only, "only", nil, "cases to measure, * for any part of a name: floor, compose_same/32, '*_chain'")
	f.StringVar(&suite.Dir, "dir", "", "where the NATS server's store goes (default the system's directory for temporary files)")
	f.StringVar(&suite.Guest, "guest", "", "source of the WebAssembly functions (default the checkout's internal/bench/guest)")
	f.DurationVar(&suite.Limit, "limit", 0, "most time to take (default 15m)")
	f.StringVar(&suite.Profiles, "cpuprofile", "", "directory for a CPU profile of each process")
	_ = f.MarkHidden("cpuprofile") // fails only for a flag that is not there
	return cmd
}

// benchNodeCommand is a process of a suite; it says on stdout what it is, and ends with its stdin.
func benchNodeCommand() *cobra.Command {
	return &cobra.Command{
		Use:           "node CONFIG",
		Hidden:        true,
		Args:          cobra.ExactArgs(1),
		SilenceErrors: true, // the suite hears of them
		SilenceUsage:  true,
		RunE: func(cmd *cobra.Command, args []string) error {
			// The terminal's interrupt reaches the whole group; a node waits for its suite to end it.
			signal.Ignore(os.Interrupt)
			return bench.RunNode(cmd.Context(), args[0], cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
}
