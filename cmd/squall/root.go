package main

import (
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/squall-faas/squall/fault"
)

// app is what the commands share.
type app struct {
	in        io.Reader
	out, errs io.Writer
	set       settings
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "squall",
		Short: "Stateful functions and dataflows",
		Long: `Squall runs functions, and DAGs of functions, beside a cache of the state that they share.

  squall dev                  a whole cluster in this process
  squall call NAME ARGS…      call a function
  squall run DAG x=1          run a DAG

Data goes to stdout, everything else to stderr. Exit codes: 0 ok, 1 the call failed, 2 usage, 3 timeout, 4 unreachable.`,
		SilenceErrors: true, // reported in one place, see report
		SilenceUsage:  true,
	}
	f := root.PersistentFlags()
	f.StringP("server", "s", "", "URLs of NATS, separated by commas (SQUALL_SERVER, NATS_URL; default nats://127.0.0.1:4222)")
	f.String("creds", "", "`file` of NATS credentials (SQUALL_CREDS)")
	f.String("nkey", "", "`file` of an nkey's seed (SQUALL_NKEY)")
	f.String("user", "", "NATS user (SQUALL_USER)")
	f.String("password", "", "NATS password; rather SQUALL_PASSWORD, which no process list shows")
	f.String("token", "", "NATS token; rather SQUALL_TOKEN")
	f.String("namespace", "", "where functions, DAGs and keys are (SQUALL_NAMESPACE; default default)")
	f.Duration("timeout", 0, "most time that the command may take; 0 is what suits it (SQUALL_TIMEOUT)")
	f.StringP("output", "o", "", "`form` of what is printed: table, json or jsonl (SQUALL_OUTPUT; default table)")
	f.String("context", "", "`name` of the saved connection to use (SQUALL_CONTEXT; default the selected one)")
	f.String("log-level", "", "`level` of the log on stderr: debug, info, warn or error (SQUALL_LOG_LEVEL)")
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) (err error) {
		a.set, err = loadSettings(cmd.Flags())
		if err != nil {
			return err
		}
		if err := fromEnvironment(cmd); err != nil {
			return err
		}
		return a.set.check(cmd.Annotations[alsoForm])
	}
	for _, c := range []*cobra.Command{
		a.devCommand(), a.natsCommand(), a.coordinatorCommand(), a.executorCommand(), a.gatewayCommand(), a.healthCommand(), a.authCommand(), demoCommand(), a.loadCommands(benchCommand()),
		a.callCommand(), a.runCommand(), a.fnCommand(), a.dagCommand(), a.kvCommand(), a.objCommand(), a.statusCommand(),
		a.checkCommand(), a.contextCommand(), a.versionCommand(),
	} {
		root.AddCommand(c)
	}
	return root
}

// alsoForm annotates a command that knows one more form of output.
const alsoForm = "squall/form"

// group is a command that only has others below it.
func group(use, short string, sub ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{
		Use: use, Short: short,
		RunE: func(cmd *cobra.Command, args []string) error {
			var names []string
			for _, s := range cmd.Commands() {
				names = append(names, s.Name())
			}
			return fault.New(fault.InvalidArgument, "%s needs one of %s", cmd.CommandPath(), strings.Join(names, ", "))
		},
	}
	c.AddCommand(sub...)
	return c
}

// logger writes to stderr; otherwise is the level where the user names none.
func (a *app) logger(otherwise slog.Level) *slog.Logger {
	level := otherwise
	if a.set.LogLevel != "" {
		_ = level.UnmarshalText([]byte(a.set.LogLevel)) // was checked
	}
	return slog.New(slog.NewTextHandler(a.errs, &slog.HandlerOptions{Level: level}))
}

// grace is how long a role takes to finish what is under way when it is asked to end.
const grace = 10 * time.Second
