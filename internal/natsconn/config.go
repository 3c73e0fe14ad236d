package natsconn

import (
	"net"
	"strconv"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/squall-faas/squall/fault"
)

// Listener is a port that a server opens.
type Listener struct {
	What    string // such as "its monitoring", for people
	Addr    string // host:port
	Secured bool   // who comes must present credentials
	By      string // what in the file would secure it
}

// ReadConfig reads a file in nats-server's format, without starting anything, and gives what the server would listen on, the
// port for clients first. invalid_argument says what is wrong with it, and on which line.
func ReadConfig(path string) ([]Listener, error) {
	opts, err := processed(path)
	if err != nil {
		return nil, err
	}
	users := opts.Authorization != "" || opts.Username != "" || len(opts.Users) > 0 || len(opts.Nkeys) > 0 || len(opts.TrustedOperators) > 0
	out := []Listener{{"NATS", at(opts.Host, opts.Port), users, "authorization or accounts"}}
	for _, l := range []struct {
		what, host string
		port       int
		secured    bool
		by         string
	}{
		{"its monitoring", opts.HTTPHost, opts.HTTPPort, false, "a loopback address: it knows no credentials"},
		{"its monitoring by TLS", opts.HTTPHost, opts.HTTPSPort, false, "a loopback address: it knows no credentials"},
		{"its cluster", opts.Cluster.Host, opts.Cluster.Port, opts.Cluster.Username != "" || opts.Cluster.TLSConfig != nil && opts.Cluster.TLSConfig.ClientCAs != nil, "authorization"},
		{"its gateway", opts.Gateway.Host, opts.Gateway.Port, opts.Gateway.Username != "", "authorization"},
		{"its leaf nodes", opts.LeafNode.Host, opts.LeafNode.Port, users || opts.LeafNode.Username != "" || len(opts.LeafNode.Users) > 0, "authorization"},
		{"its websockets", opts.Websocket.Host, opts.Websocket.Port, users || opts.Websocket.Username != "" || opts.Websocket.Token != "", "authorization"},
		{"its MQTT", opts.MQTT.Host, opts.MQTT.Port, users || opts.MQTT.Username != "" || opts.MQTT.Token != "", "authorization"},
		{"its profiles", opts.Host, opts.ProfPort, false, "no port: it knows no credentials"},
	} {
		if l.port != 0 {
			out = append(out, Listener{l.what, at(l.host, l.port), l.secured, l.by})
		}
	}
	return out, nil
}

func at(host string, port int) string {
	if host == "" {
		host = server.DEFAULT_HOST
	}
	return net.JoinHostPort(host, strconv.Itoa(port))
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
