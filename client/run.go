package client

import (
	"context"

	"github.com/squall-faas/squall/internal/id"
	"github.com/squall-faas/squall/internal/wire"
)

// Run is a future: a run that was started, by this client or by anyone. Safe for concurrent use.
type Run struct {
	c   *Client
	run id.Run
}

// Attach gives the future of a run that was started elsewhere or earlier, by its id.
func (c *Client) Attach(_ context.Context, run string) (*Run, error) {
	r, err := id.ParseRun(run)
	if err != nil {
		return nil, err
	}
	return &Run{c, r}, nil
}

// ID names the run: keep it, and Attach to the run with it from anywhere, for as long as its record is kept (a week
// after its end).
func (r *Run) ID() string { return r.run.String() }

// Get waits for the run's outputs, or the error that it ended with. A message completes it; nothing is polled.
func (r *Run) Get(ctx context.Context) (Outputs, error) {
	res, err := r.c.caller.Await(ctx, r.run)
	if err != nil {
		return Outputs{}, err
	}
	return outputs(res), nil
}

// State of a run.
type State struct {
	Name  string // of the DAG or function
	State string // running, succeeded or failed
	Err   error  // why it failed
}

// Done reports whether the run has ended.
func (s State) Done() bool { return s.State != wire.Running.String() }

// Poll tells the run's state without waiting for its end; unknown_run where none is recorded.
func (r *Run) Poll(ctx context.Context) (State, error) {
	info, err := r.c.caller.Status(ctx, r.run)
	if err != nil {
		return State{}, err
	}
	s := State{Name: info.Name, State: info.State.String()}
	if info.Err != nil {
		s.Err = info.Err
	}
	return s, nil
}

// Cancel ends the run; its outcome is then cancelled. A run that has ended stays as it is.
func (r *Run) Cancel(ctx context.Context) error { return r.c.caller.Cancel(ctx, r.run) }
