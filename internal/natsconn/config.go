package natsconn

import (
	"net"
	"strconv"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/squall-faas/squall/fault"
)

// Configured is what a configuration file says of how its server is reached.
type Configured struct {
	Listen  string // host:port for clients
	Secured bool   // clients must present credentials
}

// ReadConfig reads a file in nats-server's format, without starting anything. invalid_argument says what is wrong with it,
// and on which line.
func ReadConfig(path string) (Configured, error) {
	opts, err := processed(path)
	if err != nil {
		return Configured{}, err
	}
	secured := opts.Authorization != "" || opts.Username != "" || len(opts.Users) > 0 || len(opts.Nkeys) > 0 || len(opts.TrustedOperators) > 0
	return Configured{net.JoinHostPort(opts.Host, strconv.Itoa(opts.Port)), secured}, nil
}

// processed is what a file says, with nats-server's defaults.
func processed(path string) (*server.Options, error) {
	opts, err := server.ProcessConfigFile(path)
	if err != nil {
		return nil, fault.New(fault.InvalidArgument, "configuration of the nats server: %w", err)
	}
	if opts.Host == "" {
		opts.Host = server.DEFAULT_HOST
	}
	if opts.Port == 0 {
		opts.Port = server.DEFAULT_PORT
	}
	return opts, nil
}

// configured is server for a server that a file describes. What the process as a whole decides, such as signals and the log,
// stays the program's.
func (o *ServerOptions) configured() (*server.Options, error) {
	bare := ServerOptions{ConfigFile: o.ConfigFile, Logger: o.Logger}
	if *o != bare {
		return nil, fault.New(fault.InvalidArgument, "a nats server with a configuration file is described there alone: leave out the other options")
	}
	opts, err := processed(o.ConfigFile)
	if err != nil {
		return nil, err
	}
	if opts.JetStream && opts.StoreDir == "" {
		return nil, fault.New(fault.InvalidArgument, "configuration of the nats server %s: jetstream needs a store_dir", o.ConfigFile)
	}
	opts.NoSigs, opts.NoLog, opts.DisableJetStreamBanner = true, true, true
	opts.LogFile, opts.Syslog = "", false
	o.StoreDir, o.NoJetStream = opts.StoreDir, !opts.JetStream
	o.Listen = net.JoinHostPort(opts.Host, strconv.Itoa(opts.Port))
	if o.Durability = Interval; opts.SyncAlways {
		o.Durability = Durable
	}
	return opts, nil
}
