package squall

import (
	"context"
	"net"
	"net/netip"
	"net/url"
	"strings"
)

// announcement is what a data port is to be announced as: announce where that is given, else this host's address on the way
// to the NATS servers where listen names all addresses, else "", which is where it listens. A port on all addresses has none
// of its own that others could dial.
func announcement(ctx context.Context, listen, announce, servers string) string {
	host, _, err := net.SplitHostPort(listen)
	if announce != "" || listen == "" || err != nil {
		return announce
	}
	if ip, err := netip.ParseAddr(host); host != "" && (err != nil || !ip.IsUnspecified()) {
		return ""
	}
	for server := range strings.SplitSeq(servers, ",") {
		if !strings.Contains(server, "://") {
			server = "nats://" + server
		}
		u, err := url.Parse(strings.TrimSpace(server))
		if err != nil || u.Hostname() == "" {
			continue
		}
		port := u.Port()
		if port == "" {
			port = "4222"
		}
		c, err := new(net.Dialer).DialContext(ctx, "udp", net.JoinHostPort(u.Hostname(), port)) // sends nothing: the kernel chooses the way
		if err != nil {
			continue
		}
		local, _, err := net.SplitHostPort(c.LocalAddr().String())
		_ = c.Close() // nothing was sent
		if err == nil {
			return local
		}
	}
	return ""
}
