package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/natsconn"
)

func (a *app) authCommand() *cobra.Command {
	var routes []string
	start := &cobra.Command{
		Use: "init DIRECTORY", Short: "Draw the credentials of a cluster",
		Long: `Draws the credentials of a cluster, into a directory for each role, to be given to that role alone:

  coordinator/ executor/ gateway/ client/   nkey: the seed that --nkey takes
  gateway/ client/                          http.token: of the HTTP API
  nats/                                     accounts.conf, for servers' configuration to include; with --route also
                                            cluster.conf
  nats/ coordinator/ executor/ gateway/ prometheus/
                                            metrics.token: of /metrics

Where the directory has them already nothing changes. The files are for their owner alone.`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			made, err := drawCredentials(args[0], routes)
			if err != nil {
				return err
			}
			return a.printObject(map[string]any{"directory": args[0], "made": made}, func(w io.Writer) error {
				what := "has its credentials already"
				if made {
					what = "has new credentials"
				}
				_, err := fmt.Fprintf(w, "%s %s\n", args[0], what)
				return err
			})
		},
	}
	start.Flags().StringSliceVar(&routes, "route", nil, "`host:port` of a NATS server for the others; once for each")
	show := &cobra.Command{
		Use: "show FILE", Short: "Print one of the credentials, where there is no shell to do so",
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			b, err := os.ReadFile(args[0])
			if err != nil {
				return fault.New(fault.NotFound, "%w: 'squall auth init' makes it", err)
			}
			_, err = a.out.Write(b)
			return err
		},
	}
	return group("auth", "Credentials of a cluster", start, show)
}

// credentials are the files of a cluster, the one that says that all are there last.
type credentials []struct {
	path    string
	content []byte
}

// drawCredentials makes what dir lacks: all, or nothing.
func drawCredentials(dir string, routes []string) (made bool, err error) {
	const last = "nats/accounts.conf"
	if _, err := os.Stat(filepath.Join(dir, last)); err == nil {
		return false, nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return false, fault.New(fault.InvalidArgument, "credentials in %s: %w", dir, err)
	}
	accounts, err := natsconn.NewAccounts(routes)
	if err != nil {
		return false, err
	}
	var files credentials
	add := func(content []byte, paths ...string) {
		for _, p := range paths {
			files = append(files, struct {
				path    string
				content []byte
			}{p, content})
		}
	}
	for _, r := range natsconn.Roles() {
		add(accounts.Seeds[r], r+"/nkey")
	}
	add([]byte(natsconn.NewSecret()+"\n"), "gateway/http.token", "client/http.token")
	add([]byte(natsconn.NewSecret()), // Prometheus would take a line break for a part of it
		"nats/metrics.token", "coordinator/metrics.token", "executor/metrics.token", "gateway/metrics.token", "prometheus/metrics.token")
	if accounts.Cluster != nil {
		add(accounts.Cluster, "nats/cluster.conf")
	}
	add(accounts.Config, last)
	for _, f := range files {
		path := filepath.Join(dir, filepath.FromSlash(f.path))
		err := os.MkdirAll(filepath.Dir(path), 0o700)
		if err == nil {
			err = os.WriteFile(path, f.content, 0o600)
		}
		if err != nil {
			return false, fault.New(fault.InvalidArgument, "credentials: %w", err)
		}
	}
	return true, nil
}
