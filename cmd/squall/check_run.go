package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/check"
	"github.com/squall-faas/squall/internal/history"
	"github.com/squall-faas/squall/kvs"
)

// checkRunCommand is `squall check run`: it makes the history that it checks.
func (a *app) checkRunCommand() *cobra.Command {
	cfg := check.Config{Latency: 200 * time.Microsecond}
	var levels []string
	var calm bool
	var save, rule string
	cmd := &cobra.Command{
		Use: "run", Short: "Run a cluster under faults at each consistency level, record its history, and check it", Args: cobra.NoArgs,
		Long: `Starts a cluster in this process, has concurrent runs read and write the same few keys at one level after the other,
while executors are killed and cut off, pushes are lost and the store goes away, and checks what was recorded. It ends by
itself. With --break one rule of the protocol is disabled, and violations are what should be found.`,
		Example: `  squall check run                                  # every level: some minutes, for partitions take seconds
  squall check run --level dsc,txn --runs 10000
  squall check run --level mk --break cover --save broken.jsonl`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg.Levels, cfg.Faults = kvs.Levels(), !calm
			if len(levels) > 0 {
				cfg.Levels = nil
			}
			for _, name := range levels {
				l, err := kvs.ParseLevel(name)
				if err != nil {
					return err
				}
				cfg.Levels = append(cfg.Levels, l)
			}
			var err error
			if cfg.Break, err = check.ParseRule(rule); err != nil {
				return err
			}
			if cfg.Seed == 0 {
				cfg.Seed = rand.Uint64() >> 1
			}
			if _, err := fmt.Fprintf(cmd.ErrOrStderr(), "seed %d\n", cfg.Seed); err != nil {
				return err
			}
			cfg.Progress = func(ended, all int) {
				if ended%50 == 0 {
					_, _ = fmt.Fprintf(cmd.ErrOrStderr(), "\r%d of %d runs", ended, all) // for who watches
				}
			}
			h, err := check.Run(cmd.Context(), cfg)
			_, _ = fmt.Fprintln(cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			if save != "" {
				if err := saveHistory(h, save); err != nil {
					return err
				}
			}
			c, err := history.New(h)
			if err != nil {
				return err
			}
			v := viewOfHistory(c, history.Options{Strong: a.set.Timeout}, nil)
			if err := a.printObject(v, v.people); err != nil {
				return err
			}
			return v.verdict(calm)
		},
	}
	f := cmd.Flags()
	f.StringSliceVar(&levels, "level", nil, "consistency `levels` to check (default all)")
	f.IntVar(&cfg.Runs, "runs", 200, "runs of each level")
	f.IntVar(&cfg.Executors, "executors", 0, "executors (default 4)")
	f.IntVar(&cfg.Keys, "keys", 0, "keys of each level (default 24)")
	f.IntVar(&cfg.Workers, "workers", 0, "runs at a time (default 12)")
	f.Uint64Var(&cfg.Seed, "seed", 0, "of everything that is drawn (default a new one)")
	f.BoolVar(&calm, "no-faults", false, "nothing is killed, cut off or lost")
	f.StringVar(&rule, "break", "", "disable one `rule` of the protocol: "+check.RuleNames())
	f.StringVar(&save, "save", "", "write the history to a `file`, for squall check")
	return cmd
}

func saveHistory(h *history.History, path string) error {
	f, err := os.Create(path)
	if err != nil {
		return fault.New(fault.InvalidArgument, "%w", err)
	}
	err = check.Save(h, f)
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return fault.New(fault.Unavailable, "the history could not be written whole: %w", err)
	}
	return nil
}
