package load

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/ycsb"
)

// HTTP is Squall's keys through the HTTP gateway.
type HTTP struct {
	URL        string // http://host:port
	Token      string // "" where the gateway asks for none
	Durability string // what the servers were set up for, for reports

	client *http.Client
	level  string
}

// Open implements Target.
func (h *HTTP) Open(ctx context.Context, w *ycsb.Workload, workers int) error {
	if err := refuseRuns(w, "http"); err != nil {
		return err
	}
	u, err := url.Parse(h.URL)
	if err != nil || u.Host == "" {
		return fault.New(fault.InvalidArgument, "%.80q is no URL of a gateway: write http://host:port", h.URL)
	}
	h.URL, h.level = strings.TrimRight(h.URL, "/"), w.Level.String()
	h.client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: workers + 1, MaxConnsPerHost: 0, DisableCompression: true}}
	ctx, cancel := context.WithTimeout(ctx, callWait)
	defer cancel()
	_, _, err = h.request(ctx, http.MethodGet, "ycsb-anybody-there", "", nil, "")
	return err
}

// Worker implements Target.
func (h *HTTP) Worker(context.Context, int) (Worker, error) { return bounded{each(h.do)}, nil }

func (h *HTTP) do(ctx context.Context, op *Op) error {
	switch op.Kind {
	case ycsb.Read:
		return h.get(ctx, op, op.Key)
	case ycsb.Scan:
		for _, key := range op.Keys {
			if err := h.get(ctx, op, key); err != nil {
				return err
			}
		}
		return nil
	case ycsb.ReadModifyWrite:
		if err := h.get(ctx, op, op.Key); err != nil {
			return err
		}
	case ycsb.Count:
		_, _, err := h.request(ctx, http.MethodPost, op.Key, "/updates", []byte(`{"op":"add","arg":1}`), operationName(op.Version))
		return err
	}
	_, _, err := h.request(ctx, http.MethodPut, op.Key, "", op.Value, "")
	return err
}

func (h *HTTP) get(ctx context.Context, op *Op, key string) error {
	b, there, err := h.request(ctx, http.MethodGet, key, "", nil, "")
	if !there {
		b = nil
	}
	op.read(b)
	return err
}

// request makes one; there is false where the key is not.
func (h *HTTP) request(ctx context.Context, method, key, rest string, body []byte, once string) (answer []byte, there bool, err error) {
	segments := strings.Split(key, "/")
	for i, s := range segments {
		segments[i] = url.PathEscape(s)
	}
	req, err := http.NewRequestWithContext(ctx, method, h.URL+"/v1/kv/"+strings.Join(segments, "/")+rest, bytes.NewReader(body))
	if err != nil {
		return nil, false, fault.New(fault.InvalidArgument, "request: %w", err)
	}
	if h.Token != "" {
		req.Header.Set("Authorization", "Bearer "+h.Token)
	}
	switch method {
	case http.MethodPut:
		req.Header.Set("Content-Type", "application/octet-stream")
	case http.MethodPost:
		req.Header.Set("Content-Type", "application/json")
	}
	if once != "" {
		req.Header.Set("Idempotency-Key", once)
	}
	if h.level != "lww" {
		req.Header.Set("Squall-Consistency", h.level)
	}
	resp, err := h.client.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, false, fault.From(ctx.Err())
		}
		return nil, false, fault.New(fault.Unreachable, "gateway %s: %w", h.URL, err)
	}
	answer, err = io.ReadAll(resp.Body)
	_ = resp.Body.Close() // it was read
	switch {
	case err != nil:
		return nil, false, fault.New(fault.Unreachable, "gateway %s: %w", h.URL, err)
	case resp.StatusCode == http.StatusNotFound && method == http.MethodGet:
		return nil, false, nil
	case resp.StatusCode >= 300:
		var problem struct {
			Code   fault.Code `json:"code"`
			Detail string     `json:"detail"`
		}
		if json.Unmarshal(answer, &problem) != nil || problem.Code == "" {
			return nil, false, fault.New(fault.Internal, "gateway %s answers %s: %.200q", h.URL, resp.Status, answer)
		}
		return nil, false, fault.New(problem.Code, "%s", problem.Detail)
	}
	return answer, true, nil
}

// Stored implements Target: the gateway reads the store.
func (h *HTTP) Stored(ctx context.Context, keys []string) ([][]byte, error) {
	var op Op
	for _, key := range keys {
		if err := h.get(ctx, &op, key); err != nil {
			return nil, err
		}
	}
	return op.Data, nil
}

// Counter implements Target.
func (h *HTTP) Counter(ctx context.Context, key string) (int64, error) {
	b, there, err := h.request(ctx, http.MethodGet, key, "", nil, "")
	if err != nil || !there {
		return 0, err
	}
	var n int64
	if err := json.Unmarshal(b, &n); err != nil {
		return 0, fault.New(fault.WrongType, "key %s holds no number: %w", key, err)
	}
	return n, nil
}

// Traits implements Target.
func (h *HTTP) Traits() Traits { return Traits{Name: "http", Durability: h.Durability} }

// Close implements Target.
func (h *HTTP) Close() error {
	if h.client != nil {
		h.client.CloseIdleConnections()
	}
	return nil
}
