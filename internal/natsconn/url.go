package natsconn

import (
	"net/url"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/squall-faas/squall/fault"
)

// servers gives the URLs in the client's form, and in one without credentials that may be shown.
func (o Options) servers() (urls, shown string, err error) {
	if o.InProcess != nil {
		return "", "this process", nil
	}
	list := o.URL
	if list == "" {
		list = nats.DefaultURL
	}
	var clean []string
	parts := strings.Split(list, ",")
	for i, part := range parts {
		part = strings.TrimSpace(part)
		if !strings.Contains(part, "://") {
			part = "nats://" + part
		}
		u, err := url.Parse(part)
		if err != nil || u.Hostname() == "" {
			// Neither the URL nor url.Parse's words: both may contain a password.
			return "", "", fault.New(fault.InvalidArgument,
				"server %d of %d is not a URL: write nats://host:port, with %%xx for special characters in a password", i+1, len(parts))
		}
		switch u.Scheme {
		case "nats", "tls", "ws", "wss":
		default:
			return "", "", fault.New(fault.InvalidArgument, "server %s has the scheme %q: use nats, tls, ws or wss", u.Host, u.Scheme)
		}
		parts[i] = part
		clean = append(clean, (&url.URL{Scheme: u.Scheme, Host: u.Host}).String())
	}
	return strings.Join(parts, ","), strings.Join(clean, ","), nil
}
