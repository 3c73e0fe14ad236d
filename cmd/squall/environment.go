package main

import (
	"errors"
	"io/fs"
	"os"
	"strings"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/squall-faas/squall/fault"
)

// ofRole annotates a command that runs a part of a cluster: each of its own flags may stand in the environment instead, the
// flag --wasm-cache as SQUALL_WASM_CACHE.
const ofRole = "squall/role"

func asRole(cmd *cobra.Command) *cobra.Command {
	if cmd.Annotations == nil {
		cmd.Annotations = map[string]string{}
	}
	cmd.Annotations[ofRole] = "yes"
	return cmd
}

// memoryShare of a container's limit is what the Go runtime may use. The rest is for what the kernel counts as well: the
// supervisor beside an executor, modules kept compiled in a tmpfs, values shared by memory, sockets' buffers, page cache.
const memoryShare = 0.7

func variable(flag string) string {
	return "SQUALL_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// fromEnvironment sets the flags of a role that the command line does not name.
func fromEnvironment(cmd *cobra.Command) (err error) {
	if cmd.Annotations[ofRole] == "" {
		return nil
	}
	// A container's limit is the collector's too: it works harder before the kernel would end the process. Without a limit
	// nothing changes.
	_, _ = memlimit.Set(memlimit.WithRatio(memoryShare))
	cmd.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
		text, set := os.LookupEnv(variable(f.Name))
		if !set || text == "" || f.Changed || f.Name == "help" || err != nil {
			return
		}
		if e := cmd.Flags().Set(f.Name, text); e != nil {
			err = fault.New(fault.InvalidArgument, "%s=%q: %w", variable(f.Name), text, e)
		}
	})
	return err
}

// secret is what the environment variable name holds, or the file that name_FILE names: the form in which orchestrators
// hand secrets over. A file's last line break is not part of it.
func secret(name string) (string, error) {
	text := os.Getenv(name)
	path := os.Getenv(name + "_FILE")
	if path == "" {
		return text, nil
	}
	if text != "" {
		return "", fault.New(fault.InvalidArgument, "both %s and %s_FILE are set: leave one out", name, name)
	}
	b, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", fault.New(fault.InvalidArgument, "%s_FILE names %s, which is not there: make it, for instance with 'squall auth init'", name, path)
	case err != nil:
		return "", fault.New(fault.InvalidArgument, "%s_FILE: %w", name, err)
	}
	if text = strings.TrimRight(string(b), "\r\n"); text == "" {
		return "", fault.New(fault.InvalidArgument, "%s_FILE names %s, which is empty", name, path)
	}
	return text, nil
}
