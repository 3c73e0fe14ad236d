package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/squall-faas/squall/fault"
)

// A supervised executor writes a line to its stdout each second, and ends when its stdin does. A process whose functions
// keep Go's scheduler from running writes none, though it still is there and its sockets are open.
const (
	supervisedEnv = "SQUALL_SUPERVISED"
	beatLine      = "\x00alive"
	beatEach      = time.Second
	beatLimit     = 10 * time.Second // of silence, after which a process is killed
	startLimit    = time.Minute      // the same, before the first beat
	settled       = time.Minute      // a process that lived as long was not in a loop of crashes
)

// beat is the supervised process's end.
func beat(ctx context.Context, stop context.CancelFunc, in io.Reader, out io.Writer) {
	go func() {
		_, _ = io.Copy(io.Discard, in) // however it ends, the supervisor is gone
		stop()
	}()
	t := time.NewTicker(beatEach)
	defer t.Stop()
	for {
		if _, err := io.WriteString(out, beatLine+"\n"); err != nil {
			stop()
			return
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
	}
}

// process is a supervised process.
type process struct {
	beats <-chan struct{}
	ended <-chan error // gets one value, nil for a process that ended well
	stop  func()       // asks it to end
	kill  func()
}

// supervisor keeps one process running.
type supervisor struct {
	spawn func() (*process, error)
	grace time.Duration // for the process to end when it is asked
	log   *slog.Logger
}

// run returns when the process ended well, refuses its command line, or ctx has ended and the process with it.
func (s *supervisor) run(ctx context.Context) error {
	pace := backoff.NewExponentialBackOff()
	pace.InitialInterval, pace.MaxInterval = 500*time.Millisecond, 30*time.Second
	for {
		began := time.Now()
		lived, err := s.once(ctx)
		if err == nil || ctx.Err() != nil || !lived && misused(err) {
			return err
		}
		if time.Since(began) >= settled {
			pace.Reset()
		}
		wait := pace.NextBackOff()
		s.log.Warn("the executor ended and is started again", "err", err, "wait", wait.Round(time.Millisecond))
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil
		}
	}
}

// once runs one process to its end, and tells whether it ever answered.
func (s *supervisor) once(ctx context.Context) (lived bool, err error) {
	p, err := s.spawn()
	if err != nil {
		return false, err
	}
	silence := time.NewTimer(startLimit)
	defer silence.Stop()
	asked := ctx.Done()
	for {
		select {
		case err := <-p.ended:
			return lived, err
		case <-p.beats:
			lived = true
			silence.Reset(beatLimit)
		case <-silence.C:
			p.kill()
			return lived, errors.Join(fault.New(fault.ExecutorCrashed, "the executor did not answer and was killed"), <-p.ended)
		case <-asked:
			p.stop()
			asked = nil
			ended := time.AfterFunc(s.grace, p.kill)
			defer ended.Stop()
		}
	}
}

// misused reports whether a process ended as one does whose command line is wrong. One that has lived may end so too:
// it is the Go runtime's code for a crash.
func misused(err error) bool {
	code := fault.CodeOf(err).ExitCode()
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		code = exit.ExitCode()
	}
	return code == fault.InvalidArgument.ExitCode()
}

// supervised runs this program again with args, without --supervise.
func supervised(ctx context.Context, args []string, a *app, grace time.Duration) error {
	path, err := os.Executable()
	if err != nil {
		return fault.New(fault.Unavailable, "find this program, to start it again: %w", err)
	}
	args = slices.DeleteFunc(slices.Clone(args), func(s string) bool {
		return s == "--supervise" || strings.HasPrefix(s, "--supervise=")
	})
	s := &supervisor{grace: grace, log: a.logger(slog.LevelInfo), spawn: func() (*process, error) { return spawn(ctx, path, args, a) }}
	err = s.run(ctx)
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		return fault.New(fault.InvalidArgument, "the executor does not start: %w", err) // it has said why
	}
	return err
}

func spawn(ctx context.Context, path string, args []string, a *app) (*process, error) {
	cmd := exec.CommandContext(context.WithoutCancel(ctx), path, args...) // it is asked to end before it is killed
	cmd.Env = append(os.Environ(), supervisedEnv+"=1")
	cmd.Stderr = a.errs
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, fault.New(fault.Unavailable, "start the executor: %w", err)
	}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return nil, fault.New(fault.Unavailable, "start the executor: %w", err)
	}
	beats, ended := make(chan struct{}, 1), make(chan error, 1)
	go func() {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if lines.Text() != beatLine {
				_, _ = io.WriteString(a.out, lines.Text()+"\n") // our stdout may be closed: that is no reason to end
				continue
			}
			select {
			case beats <- struct{}{}:
			default: // one is there already
			}
		}
		ended <- cmd.Wait()
	}()
	return &process{
		beats: beats, ended: ended,
		stop: func() { _ = in.Close() },         // it reads the end of its stdin
		kill: func() { _ = cmd.Process.Kill() }, // it may have ended just now
	}, nil
}
