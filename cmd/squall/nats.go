package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/natsconn"
)

func (a *app) natsCommand() *cobra.Command {
	var e embedded
	var m monitor
	m.listening = &e.listening
	cmd := asRole(&cobra.Command{
		Use: "nats", Short: "Run a NATS server with JetStream",
		Long: `Runs the NATS server that is built in, with JetStream. --durability says what a write that was acknowledged survives:

  durable   a power cut: fsynced before the acknowledgement
  interval  the end of the process; a power cut may take the last second
  memory    nothing

With --nats-config a file in nats-server's own format says everything instead: servers that form a cluster, accounts, TLS.

Any NATS server with JetStream will do instead.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			e.token = a.set.Token
			log := a.logger(slog.LevelInfo)
			watched, err := m.open(cmd.Context())
			if err != nil {
				return err
			}
			if watched != nil {
				defer func() { _ = watched.Close() }() // closed by then, unless something failed
			}
			server, err := e.start(cmd, log)
			if err != nil {
				return err
			}
			defer server.Shutdown()
			x := map[string]string{"nats": server.URL(), "durability": server.Durability().String()}
			err = a.printObject(x, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "NATS  %s  %s\n", server.URL(), server.Durability())
				return err
			})
			if err != nil {
				return err
			}
			if watched == nil {
				<-cmd.Context().Done()
				return nil
			}
			reg := processMetrics()
			reg.MustRegister(natsMetrics{server})
			return m.serve(cmd.Context(), watched, reg, func(context.Context) error { return server.Ready() }, log)
		},
	})
	f := cmd.Flags()
	f.StringVar(&e.config, "nats-config", "", "`file` in nats-server's format, which then says everything")
	f.StringVar(&e.listen, "listen", "127.0.0.1:4222", "`host:port`; --token or SQUALL_TOKEN is what clients must present")
	f.StringVar(&e.data, "data", "", "`directory` of the streams (default squall/nats of the user's data directory)")
	f.StringVar(&e.durability, "durability", "durable", "durable, interval or memory")
	m.flags(f)
	e.listening.flag(f)
	return cmd
}

// start starts the server of a role, from its flags or its file.
func (e *embedded) start(cmd *cobra.Command, log *slog.Logger) (*natsconn.Server, error) {
	if e.config == "" {
		return embed(*e, "nats", log)
	}
	for _, name := range []string{"listen", "data", "durability", "token"} {
		if cmd.Flags().Changed(name) {
			return nil, fault.New(fault.InvalidArgument, "--%s beside --nats-config: say it in %s", name, e.config)
		}
	}
	listeners, err := natsconn.ReadConfig(e.config)
	if err != nil {
		return nil, err
	}
	for _, l := range listeners {
		if _, err := e.listening.address(l.What, l.Addr, l.By+" in "+e.config, l.Secured); err != nil {
			return nil, err
		}
	}
	return natsconn.Embed(natsconn.ServerOptions{ConfigFile: e.config, Logger: log})
}

// embedded is a NATS server in this process, as flags describe it.
type embedded struct {
	config, listen, data, durability, token string
	listening                               listening
}

// embed starts it; kind names its directory where the flags name none.
func embed(e embedded, kind string, log *slog.Logger) (*natsconn.Server, error) {
	o := natsconn.ServerOptions{StoreDir: e.data, Token: e.token, Logger: log}
	var err error
	if o.Listen, err = e.listening.address("NATS", e.listen, "SQUALL_TOKEN", e.token != ""); err != nil {
		return nil, err
	}
	known := false
	for _, d := range []natsconn.Durability{natsconn.Durable, natsconn.Interval, natsconn.Memory} {
		if d.String() == e.durability {
			o.Durability, known = d, true
		}
	}
	if !known {
		return nil, fault.New(fault.InvalidArgument, "no durability %q: use durable, interval or memory", e.durability)
	}
	if o.StoreDir == "" && o.Durability != natsconn.Memory {
		if o.StoreDir, err = dataDir(kind); err != nil {
			return nil, err
		}
	}
	return natsconn.Embed(o)
}

// dataDir is where a kind of server keeps its state (XDG Base Directory Specification).
func dataDir(kind string) (string, error) {
	base := os.Getenv("XDG_DATA_HOME")
	if !filepath.IsAbs(base) {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fault.New(fault.InvalidArgument, "no directory for the user's data: name one with --data: %w", err)
		}
		base = filepath.Join(home, ".local", "share")
	}
	return filepath.Join(base, "squall", kind), nil
}
