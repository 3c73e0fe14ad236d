package main

import (
	"context"
	"net"
	"net/netip"
	"strings"

	"github.com/spf13/pflag"

	"github.com/squall-faas/squall/fault"
)

// listening says where a role may listen: beyond the loopback only with credentials, or by name.
type listening struct{ insecure bool }

func (l *listening) flag(f *pflag.FlagSet) {
	f.BoolVar(&l.insecure, "insecure-listen", false, "listen beyond the loopback without credentials: whoever reaches the port may run code")
}

// address is addr, on the loopback where it names no host. what may be reached there is secured, or addr is loopback.
func (l listening) address(what, addr, credentials string, secured bool) (string, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", fault.New(fault.InvalidArgument, "listen address %q of %s: write host:port: %w", addr, what, err)
	}
	if host == "" {
		host = "127.0.0.1"
	}
	if !secured && !l.insecure && !loopback(host) {
		return "", fault.New(fault.InvalidArgument, "%s would listen on %s, beyond this machine, without credentials: set %s, or say --insecure-listen", what, addr, credentials)
	}
	return net.JoinHostPort(host, port), nil
}

func loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// listen opens a port for HTTP.
func listen(ctx context.Context, addr string) (net.Listener, error) {
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fault.New(fault.InvalidArgument, "listen on %s: stop what is there, or choose another port: %w", addr, err)
	}
	return ln, nil
}
