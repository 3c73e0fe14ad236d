package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/squall-faas/squall/client"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/demo/words"
)

// web calls a function over HTTP as any program may, and says how to go on by hand.
func (d *demo) web(ctx context.Context, refs []client.Ref) error {
	ref := plain(refs)
	body := `[{"$ref":"` + ref + `"}]`
	began := time.Now()
	tally, err := d.post(ctx, "/v1/functions/count/calls", body)
	if err != nil {
		return err
	}
	what := "one file"
	if d.lent {
		what = "one bundle"
	}
	d.head("The gateway listens at %s", d.url)
	d.phase("call", time.Since(began), "%s counted over HTTP: %d identifiers. The same by hand:", what, len(tally.Counts))
	d.line("    curl -s %s/v1/functions/count/calls -d '%s'", d.url, body)
	d.line("    curl -s %s/v1/dags", d.url)
	return nil
}

// plain gives a key that needs no quoting, in a shell or in JSON; the first one where all do.
func plain(refs []client.Ref) string {
	for _, r := range refs {
		if !strings.ContainsFunc(string(r), func(c rune) bool { return c <= ' ' || c > '~' || strings.ContainsRune(`'"\`, c) }) {
			return string(r)
		}
	}
	return string(refs[0])
}

func (d *demo) post(ctx context.Context, path, body string) (t words.Tally, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.url+path, strings.NewReader(body))
	if err != nil {
		return t, fault.New(fault.Internal, "ask the gateway: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	c := http.Client{Transport: &http.Transport{DisableKeepAlives: true}} // no proxy: it is on this host
	resp, err := c.Do(req)
	if err != nil {
		return t, fault.New(fault.Unreachable, "ask the gateway: %w", err)
	}
	defer resp.Body.Close() //nolint:errcheck // it has been read
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return t, fault.New(fault.Unreachable, "read the gateway's answer: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return t, fault.New(fault.Internal, "the gateway answered %s: %s", resp.Status, bytes.TrimSpace(answer))
	}
	if err := json.Unmarshal(answer, &t); err != nil {
		return t, fault.New(fault.Internal, "the gateway's answer is not a tally: %w", err)
	}
	return t, nil
}
