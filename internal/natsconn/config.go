package natsconn

import (
	"crypto/tls"
	"net"
	"slices"
	"strconv"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/squall-faas/squall/fault"
)

// Listener is a port that a server opens.
type Listener struct {
	What    string // such as "its monitoring", for people
	Addr    string // host:port
	Secured bool   // who comes must present credentials
	By      string // what to set in the file, where it is not secured
}

// ReadConfig reads a file in nats-server's format, without starting anything, and gives what the server would listen on, the
// port for clients first. invalid_argument says what is wrong with it, and on which line.
func ReadConfig(path string) ([]Listener, error) {
	opts, err := processed(path)
	if err != nil {
		return nil, err
	}
	const ask = "authorization, or tls with verify and a ca_file, of "
	clients := authorized(opts)
	gateway, leaf, ws, mqtt := &opts.Gateway, &opts.LeafNode, &opts.Websocket, &opts.MQTT
	monitoring := opts.HTTPHost
	if monitoring == "" {
		monitoring = opts.Host // nats-server's default
	}
	var out []Listener
	for _, l := range []struct {
		what, host string
		port       int
		secured    bool
		by         string
	}{
		{"NATS", opts.Host, opts.Port, clients || certified(opts.TLSConfig) && !opts.AllowNonTLS, "authorization or accounts, and no no_auth_user,"},
		// It knows no credentials, and asks for no certificates either.
		{"its monitoring", monitoring, opts.HTTPPort, false, "http on 127.0.0.1"},
		{"its monitoring by TLS", monitoring, opts.HTTPSPort, false, "https on 127.0.0.1"},
		{"its profiles", opts.Host, opts.ProfPort, false, "no prof_port"},
		{"its cluster", opts.Cluster.Host, opts.Cluster.Port, opts.Cluster.Username != "" || certified(opts.Cluster.TLSConfig), ask + "cluster"},
		{"its gateway", gateway.Host, gateway.Port, gateway.Username != "" || certified(gateway.TLSConfig), ask + "gateway"},
		// The rest ask for what they have of their own, else for what clients must present.
		{
			"its leaf nodes", leaf.Host, leaf.Port,
			clients || leaf.Username != "" || leaf.Nkey != "" || len(leaf.Users) > 0 || certified(leaf.TLSConfig), ask + "leafnodes",
		},
		{
			"its websockets", ws.Host, ws.Port,
			(clients || ws.Username != "" || ws.Token != "") && ws.NoAuthUser == "" || certified(ws.TLSConfig), ask + "websocket",
		},
		{
			"its MQTT", mqtt.Host, mqtt.Port,
			(clients || mqtt.Username != "" || mqtt.Token != "") && mqtt.NoAuthUser == "" || certified(mqtt.TLSConfig), ask + "mqtt",
		},
	} {
		if l.port != 0 {
			out = append(out, Listener{l.what, at(l.host, l.port), l.secured, l.by})
		}
	}
	return out, nil
}

// authorized reports whether clients must present credentials.
func authorized(opts *server.Options) bool {
	if opts.NoAuthUser != "" {
		return false
	}
	if opts.Authorization != "" || opts.Username != "" || len(opts.TrustedKeys) > 0 || len(opts.TrustedOperators) > 0 {
		return true
	}
	// Where the only account is the system's, nats-server lets everybody into its global one.
	only := opts.SystemAccount != "" && len(opts.Accounts) == 1 && opts.Accounts[0].Name == opts.SystemAccount
	counts := func(a *server.Account) bool { return !only || a == nil }
	return slices.ContainsFunc(opts.Users, func(u *server.User) bool { return counts(u.Account) }) ||
		slices.ContainsFunc(opts.Nkeys, func(u *server.NkeyUser) bool { return counts(u.Account) })
}

// certified reports whether who connects must have a certificate, by an authority that the file names: that any authority of
// the system's has signed one says nothing.
func certified(c *tls.Config) bool {
	return c != nil && c.ClientAuth == tls.RequireAndVerifyClientCert && c.ClientCAs != nil
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
