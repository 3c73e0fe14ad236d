package main

import (
	"context"
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
	cmd.AddCommand(
		benchComposeCommand(), benchCacheCommand(), benchLocalityCommand(), benchConsistencyCommand(), benchCodedCommand(), benchSchedCommand(), benchFanoutCommand(), benchChainCommand(), benchTransferCommand(), benchPassingCommand(), benchNodeCommand(),
	)
	return cmd
}

func benchComposeCommand() *cobra.Command {
	var suite bench.Compose
	cmd := suiteCommand(&suite.Options, func(ctx context.Context) (*bench.Report, error) { return suite.Run(ctx) })
	cmd.Use = "compose"
	cmd.Short = "square(increment(x)) against bare NATS and TCP, chains, durable calls, cache hits, recovery"
	cmd.Example = `  squall bench compose                          # everything, a few minutes
  squall bench compose --quick                  # does it all run?
  squall bench compose --only floor,compose_same -o json`
	f := cmd.Flags()
	f.IntVar(&suite.Calls, "calls", 0, "calls of each case (default 5000; four times as many where many are outstanding)")
	f.StringVar(&suite.Guest, "guest", "", "source of the WebAssembly functions (default the checkout's internal/bench/guest)")
	return cmd
}

func benchCacheCommand() *cobra.Command {
	var suite bench.Cache
	cmd := suiteCommand(&suite.Options, func(ctx context.Context) (*bench.Report, error) { return suite.Run(ctx) })
	cmd.Use = "cache"
	cmd.Short = "Hits at each consistency level, durable writes against bare JetStream, hit ratios"
	cmd.Example = `  squall bench cache                            # everything, a few minutes
  squall bench cache --only 'hit_*',ratios      # hits, and hit ratios
  squall bench cache --only put_sdk,put_jetstream`
	f := cmd.Flags()
	f.Uint64Var(&suite.Seed, "seed", 0, "of the hit-ratio workloads (default drawn)")
	f.IntVar(&suite.Shards, "shards", 0, "streams of the store that is written to: 1, 2, 4, 8 or 16 (default 4)")
	return cmd
}

func benchLocalityCommand() *cobra.Command {
	var suite bench.Locality
	cmd := suiteCommand(&suite.Options, func(ctx context.Context) (*bench.Report, error) { return suite.Run(ctx) })
	cmd.Use = "locality"
	cmd.Short = "Sums of ten arrays, 80 KB to 80 MB: cached on the node, on another one, or stored only"
	cmd.Example = `  squall bench locality
  squall bench locality --only hot -o json`
	return cmd
}

func benchConsistencyCommand() *cobra.Command {
	var suite bench.Consistency
	cmd := suiteCommand(&suite.Options, func(ctx context.Context) (*bench.Report, error) { return suite.Run(ctx) })
	cmd.Use = "consistency"
	cmd.Short = "What each consistency level costs a DAG, and which anomalies it rules out"
	cmd.Example = `  squall bench consistency
  squall bench consistency --only dag_lww,dag_dsc --runs 1000`
	f := cmd.Flags()
	f.IntVar(&suite.Runs, "runs", 0, "DAGs of each level (default 4000)")
	f.Uint64Var(&suite.Seed, "seed", 0, "of what they read and write (default drawn)")
	return cmd
}

func benchChainCommand() *cobra.Command {
	var suite bench.Chain
	cmd := suiteCommand(&suite.Options, func(ctx context.Context) (*bench.Report, error) { return suite.Run(ctx) })
	cmd.Use = "chain"
	cmd.Short = "What one more function costs a chain, by the size of what it passes on, on one executor and across two"
	cmd.Example = `  squall bench chain
  squall bench chain --only hop_local -o json`
	return cmd
}

func benchTransferCommand() *cobra.Command {
	var suite bench.Transfer
	cmd := suiteCommand(&suite.Options, func(ctx context.Context) (*bench.Report, error) { return suite.Run(ctx) })
	cmd.Use = "transfer"
	cmd.Short = "Values from one function to the next, 1 KB to 1 GB: by pointer, inline, by shared memory, direct, through the store"
	cmd.Example = `  squall bench transfer
  squall bench transfer --only direct/1073741824,http/1073741824 -o json`
	return cmd
}

func benchSchedCommand() *cobra.Command {
	var suite bench.Sched
	cmd := suiteCommand(&suite.Options, func(ctx context.Context) (*bench.Report, error) { return suite.Run(ctx) })
	cmd.Use = "sched"
	cmd.Short = "What a decision of the scheduler costs, and what late binding is worth, in virtual time"
	cmd.Example = `  squall bench sched
  squall bench sched --only decide/1000`
	cmd.Flags().Uint64Var(&suite.Seed, "seed", 0, "of the workloads (default drawn)")
	return cmd
}

func benchFanoutCommand() *cobra.Command {
	var suite bench.Fanout
	cmd := suiteCommand(&suite.Options, func(ctx context.Context) (*bench.Report, error) { return suite.Run(ctx) })
	cmd.Use = "fanout"
	cmd.Short = "A Map over 16 to 10,000 items and a join, against the sum of the work over the slots"
	cmd.Example = `  squall bench fanout
  squall bench fanout --only fanout/10000`
	cmd.Flags().DurationVar(&suite.Work, "work", 0, "time that each item holds its slot (default 1ms)")
	return cmd
}

// suiteCommand is the command of a suite with the flags that all suites take. run is called once these are in options.
func suiteCommand(options *bench.Options, run func(context.Context) (*bench.Report, error)) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Args: cobra.NoArgs,
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
			options.Launch = bench.Launch{Path: path, Args: []string{"bench", "node"}}
			options.Release = squall.Version
			options.Progress = cmd.ErrOrStderr()
			report, err := run(ctx)
			if err != nil {
				return err
			}
			return write(report)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&output, "output", "o", "table", "table or json")
	f.BoolVar(&options.Quick, "quick", false, "little of each case, to see that all run; the figures mean nothing")
	f.StringSliceVar(&options.Only, "only", nil, "cases to measure, * for any part of a name: floor, compose_same/32, '*_chain'")
	f.StringVar(&options.Dir, "dir", "", "where the NATS server's store goes (default the system's directory for temporary files)")
	f.DurationVar(&options.Limit, "limit", 0, "most time to take (default 15m)")
	f.StringVar(&options.Profiles, "profiles", "", "directory for pprof profiles of each process, CPU and allocations")
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
