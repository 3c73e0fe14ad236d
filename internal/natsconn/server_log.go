package natsconn

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
)

// serverLog receives nats-server's log lines. It passes warnings and errors on and keeps the first fatal one, because
// the server reports what kept it from starting nowhere else.
type serverLog struct {
	log *slog.Logger

	mu      sync.Mutex // guards what follows
	first   error      // fatal, before started
	started bool
}

func newServerLog(log *slog.Logger) *serverLog {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &serverLog{log: log}
}

// start ends the time in which fatal errors are kept: later ones have nobody to be returned to, and are logged.
func (l *serverLog) start() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.started = true
}

// fatal is the first fatal error, or nil.
func (l *serverLog) fatal() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.first
}

// fatalError keeps the server's words and, where one of its arguments was an error, that error.
type fatalError struct {
	text  string
	cause error
}

func (e *fatalError) Error() string { return e.text }
func (e *fatalError) Unwrap() error { return e.cause }

func (l *serverLog) Fatalf(format string, v ...any) {
	e := &fatalError{text: fmt.Sprintf(format, v...)}
	for _, a := range v {
		if err, ok := a.(error); ok {
			e.cause = errors.Join(e.cause, err)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.started:
		l.log.Error("nats server", "err", e)
	case l.first == nil:
		l.first = e
	}
}

func (l *serverLog) Errorf(format string, v ...any) {
	l.log.Error("nats server", "msg", fmt.Sprintf(format, v...))
}

func (l *serverLog) Warnf(format string, v ...any) {
	l.log.Warn("nats server", "msg", fmt.Sprintf(format, v...))
}

// The server's own chatter: nothing that a user of Squall asked for.

func (l *serverLog) Noticef(string, ...any) {}
func (l *serverLog) Debugf(string, ...any)  {}
func (l *serverLog) Tracef(string, ...any)  {}
