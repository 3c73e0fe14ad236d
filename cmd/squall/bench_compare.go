package main

import (
	"encoding/json"

	"github.com/spf13/cobra"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/load"
)

// benchCompareCommand holds results of squall bench ycsb against each other.
func (a *app) benchCompareCommand() *cobra.Command {
	var base string
	cmd := &cobra.Command{
		Use:   "compare FILE…",
		Short: "Hold results of squall bench ycsb against each other",
		Long: `Compares the cases of later results with the cases of the same names in the first; of one result, its later cases with its
first one. Medians over the repeated runs, their ratio, and a confidence interval of that by the bootstrap: where 1 lies in
it, the difference is within noise.`,
		Example: `  squall bench compare before.json after.json
  squall bench compare c.json --base jetstream/t32`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			var reports []*load.Report
			for _, path := range args {
				r, err := load.ReadReport(path)
				if err != nil {
					return err
				}
				reports = append(reports, r)
			}
			all, err := load.Compare(base, reports...)
			if err != nil {
				return err
			}
			write := func() error { return load.CompareTable(a.out, all) }
			switch a.set.Output {
			case "json":
				write = func() error { e := json.NewEncoder(a.out); e.SetIndent("", "  "); return e.Encode(all) }
			case "jsonl":
				write = func() error {
					e := json.NewEncoder(a.out)
					for i := range all {
						if err := e.Encode(all[i]); err != nil {
							return err
						}
					}
					return nil
				}
			}
			if err := write(); err != nil {
				return fault.New(fault.Unavailable, "print the comparison: %w", err)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&base, "base", "", "`case` of the first result that all are compared with")
	return cmd
}
