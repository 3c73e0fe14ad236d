package main

import (
	"github.com/spf13/cobra"

	"github.com/squall-faas/squall/internal/demo"
)

// demoCommand is `squall demo`.
func demoCommand() *cobra.Command {
	var cfg demo.Config
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Start a whole cluster in this process and run real DAGs on real input",
		Long: `Starts NATS with JetStream, a coordinator, three executors and an HTTP gateway in this process, registers
functions (Go funcs, and Go packages that are built to WebAssembly), and runs two DAGs:

  identifiers  counts the identifiers of every Go file of the Go installation, and holds the result against a
               single-threaded count
  photo        makes a sheet of thumbnail, histogram and edges of each picture of the Go installation's image tests

With --lent the executors keep nothing for each other, and each call of count counts 6 MiB of files: their tallies, which do
not fit a message, go through memory that four lenders of this process lend, in data and parity shards. How many did is printed.

Needs the go command, and the source of Squall around it: run it inside a checkout.`,
		Example: `  squall demo
  squall demo --dir ~/src/project --limit 1000
  squall demo --lent
  squall demo --stay`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg.Stdout = cmd.OutOrStdout()
			cfg.Progress = cmd.ErrOrStderr()
			_, err := demo.Run(cmd.Context(), cfg)
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&cfg.Dir, "dir", "", "count the .go files under `directory` (default the Go installation)")
	f.StringVar(&cfg.Images, "images", "", "take the JPEGs and PNGs under `directory` (default src/image/testdata of the Go installation)")
	f.IntVar(&cfg.Limit, "limit", 0, "count at most `n` files; 0 is all")
	f.StringVar(&cfg.Out, "out", "", "write the pictures to `directory` (default a new one among the temporary ones)")
	f.StringVar(&cfg.Listen, "listen", "", "`host:port` of the HTTP gateway (default any free port of 127.0.0.1)")
	f.BoolVar(&cfg.Lent, "lent", false, "pass intermediates through lent memory")
	f.BoolVar(&cfg.Stay, "stay", false, "keep the cluster up until Ctrl-C")
	return cmd
}
