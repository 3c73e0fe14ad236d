package main

import (
	"context"
	"errors"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/squall-faas/squall/client"
)

// action is a command that talks to a cluster.
type action func(ctx context.Context, c *client.Client, args []string) error

// with connects, does what the command does within --timeout, and closes.
func (a *app) with(do action) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) (err error) {
		ctx := cmd.Context()
		if a.set.Timeout > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, a.set.Timeout)
			defer cancel()
		}
		c, err := client.Connect(ctx, a.set.Server, client.Options{
			Namespace: a.set.Namespace, CredsFile: a.set.Creds, NKeyFile: a.set.NKey, User: a.set.User, Password: a.set.Password, Token: a.set.Token,
			Logger: a.logger(slog.LevelWarn),
		})
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, c.Close()) }()
		return do(ctx, c, args)
	}
}
