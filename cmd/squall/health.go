package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/backbone"
)

// healthTimeout bounds a question to a role that runs beside this process.
const healthTimeout = 3 * time.Second

// healthCommand asks another process: what a container without a shell has for its health check.
func (a *app) healthCommand() *cobra.Command {
	return &cobra.Command{
		Use: "health URL", Short: "Ask a role whether it is ready, by its /readyz",
		Long: `Asks an HTTP address, such as http://127.0.0.1:9100/readyz, and succeeds where the answer is 200: the health check of a
container that has nothing but this program.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return healthy(cmd.Context(), args[0]) },
	}
}

func healthy(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	if !strings.HasPrefix(url, "http://") && !strings.HasPrefix(url, "https://") {
		return fault.New(fault.InvalidArgument, "%q is not an address to ask: write http://host:port/readyz", url)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fault.New(fault.InvalidArgument, "address %q: %w", url, err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fault.New(fault.Unreachable, "nothing answers: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10)) // what there is of it
		return fault.New(fault.Unavailable, "not ready: %s", strings.TrimSpace(fmt.Sprint(resp.Status, " ", string(text))))
	}
	return nil
}

// storeAnswers is a check of readiness: NATS and the store answer.
func storeAnswers(b *backbone.Backbone) func(context.Context) error {
	return func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, healthTimeout)
		defer cancel()
		_, err := b.System.Get(ctx, "readyz")
		if fault.Is(err, fault.NotFound) {
			return nil
		}
		return err
	}
}
