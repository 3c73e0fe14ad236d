package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/squall-faas/squall/internal/bench"
)

func benchCodedCommand() *cobra.Command {
	var suite bench.Coded
	cmd := suiteCommand(&suite.Options, func(ctx context.Context) (*bench.Report, error) { return suite.Run(ctx) })
	cmd.Use = "coded"
	cmd.Short = "Objects in lent memory against a plain TCP copy, Redis and the store; lost lenders; availability and cost"
	cmd.Example = `  squall bench coded                            # everything, some ten minutes and 10 GB of memory
  squall bench coded --only 10+2,copy           # GET and SET against the floor
  squall bench coded --only availability,cost   # the simulator alone
  squall bench coded --only cost --plot cost.svg`
	f := cmd.Flags()
	f.Uint64Var(&suite.Seed, "seed", 0, "of the simulations (default 1)")
	f.StringVar(&suite.Plot, "plot", "", "`file` for a plot of the cost by the rate of requests, as SVG or PNG by its ending")
	return cmd
}
