//go:build compose

package composetest

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

var web = &http.Client{Timeout: 10 * time.Second}

func escape(s string) string { return url.QueryEscape(s) }

// get asks an HTTP address.
func (s *stack) get(url string) (int, string, error) { return s.ask("GET", url, "", "") }

// ask sends a request with a token, if there is one.
func (s *stack) ask(method, url, token, body string) (int, string, error) {
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := web.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return res.StatusCode, string(b), err
}
