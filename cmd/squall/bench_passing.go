package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/squall-faas/squall/internal/bench"
)

func benchPassingCommand() *cobra.Command {
	var suite bench.Passing
	cmd := suiteCommand(&suite.Options, func(ctx context.Context) (*bench.Report, error) { return suite.Run(ctx) })
	cmd.Use = "passing"
	cmd.Short = "Plans of data passing, executed on simulated fleets, against fixed policies and every possible plan"
	cmd.Long = "Executes DAGs on simulated fleets in virtual time, as the planner has them, as fixed policies do, and in every possible " +
		"way; and some plans in real time, with bytes over shaped connections. Starts no processes."
	cmd.Example = `  squall bench passing
  squall bench passing --only cells --each -o json   # every policy in every cell
  squall bench passing --only cells --plot data-passing.svg`
	f := cmd.Flags()
	f.Uint64Var(&suite.Seed, "seed", 0, "of the noise in what the planner has learnt (default drawn)")
	f.BoolVar(&suite.Each, "each", false, "report the time of every policy in every cell")
	f.StringVar(&suite.Plot, "plot", "", "`file` for a plot of when each path wins, as SVG or PNG by its ending")
	return cmd
}
