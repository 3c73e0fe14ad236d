package bench

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"runtime"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/squall-faas/squall/client"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/fn"
)

// Names of the functions of the bare HTTP transfer. Those that make and take values have names for each path.
const (
	fnServeHTTP = "serve-http"
	fnGetHTTP   = "get-http"
)

// pulls are what came from data ports since the last value was taken.
type pulls struct{ bytes, nanos atomic.Int64 }

func (p *pulls) observed(_ string, bytes int64, took time.Duration) {
	p.bytes.Add(bytes)
	p.nanos.Add(int64(took))
}

// taken is what a function finds of the value that it is given.
type taken struct {
	Bytes  int
	Hop    int64 // nanoseconds since its producer returned it
	Pull   int64 // nanoseconds that it took from a data port
	Pulled int64 // bytes that came from a data port
	Mapped int64 // values in shared memory
}

func (m *member) transferFunctions() map[string]client.Impl {
	out := map[string]client.Impl{fnServeHTTP: client.Native(m.serveHTTP), fnGetHTTP: client.Native(m.getHTTP)}
	for path := range transferPairs {
		out[makeName(path)], out[takeName(path)] = client.Native(m.makeValue).WithOutput(1<<30), client.Native(m.takeValue)
	}
	return out
}

// pageBytes is how far apart memory has to be touched to be there.
const pageBytes = 4096

// makeValue makes a value of so many bytes that begins with the time at which it was done.
func (m *member) makeValue(_ fn.Context, bytes int) ([]byte, error) {
	runtime.GC() // the value before: nobody wants the collector to run while this one is measured
	b := make([]byte, bytes)
	for i := 0; i < len(b); i += pageBytes {
		b[i] = byte(i)
	}
	binary.LittleEndian.PutUint64(b, uint64(time.Now().UnixNano()))
	return b, nil
}

// takeValue says what it was given, and when. The clock is one: the processes are on one host.
func (m *member) takeValue(_ fn.Context, b []byte) (taken, error) {
	now := time.Now().UnixNano()
	if len(b) < 8 {
		return taken{}, fault.New(fault.InvalidArgument, "a value of %d bytes", len(b))
	}
	out := taken{
		Bytes: len(b), Hop: now - int64(binary.LittleEndian.Uint64(b)), Pull: m.pulls.nanos.Swap(0), Pulled: m.pulls.bytes.Swap(0),
		Mapped: m.node.Shared().Maps,
	}
	runtime.KeepAlive(b)
	go func() { // what was mapped counts for this value alone
		for range 3 {
			runtime.GC()
		}
	}()
	return out, nil
}

// serveHTTP starts a bare HTTP server, for the rest of the process's life, whose path is how many bytes it gives.
func (m *member) serveHTTP(c fn.Context, _ int) (string, error) {
	l, err := new(net.ListenConfig).Listen(c, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	values := map[string][]byte{}
	s := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		b := values[q.URL.Path]
		if b == nil {
			n, err := strconv.Atoi(q.URL.Path[1:])
			if err != nil || n < 0 || n > 1<<30 {
				http.Error(w, "no such size", http.StatusBadRequest)
				return
			}
			b = make([]byte, n)
			for i := 0; i < n; i += pageBytes {
				b[i] = byte(i)
			}
			values[q.URL.Path] = b // one request at a time
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(b)))
		_, _ = w.Write(b) // who reads finds out
	})}
	go func() { _ = s.Serve(l) }()
	m.ends = append(m.ends, s.Close)
	return "http://" + l.Addr().String(), nil
}

// getHTTP asks for a body.
type getHTTP struct {
	URL     string
	Bytes   int
	Discard bool // the body, rather than keep it
}

// getHTTP says how many nanoseconds a body took.
func (m *member) getHTTP(c fn.Context, q getHTTP) (int64, error) {
	runtime.GC()
	get := func(bytes int) (*http.Response, error) {
		r, err := http.NewRequestWithContext(context.WithoutCancel(c), http.MethodGet, q.URL+"/"+strconv.Itoa(bytes), nil)
		if err != nil {
			return nil, err
		}
		return http.DefaultClient.Do(r)
	}
	first, err := get(1) // so that the connection is there
	if err != nil {
		return 0, err
	}
	_, _ = io.Copy(io.Discard, first.Body)
	if err := first.Body.Close(); err != nil {
		return 0, err
	}
	began := time.Now()
	resp, err := get(q.Bytes)
	if err != nil {
		return 0, err
	}
	defer func() { _ = resp.Body.Close() }() // it was read
	var n int64
	if q.Discard {
		n, err = io.Copy(io.Discard, resp.Body)
	} else {
		b := make([]byte, q.Bytes)
		var k int
		k, err = io.ReadFull(resp.Body, b)
		n = int64(k)
	}
	took := time.Since(began)
	if err == nil && n != int64(q.Bytes) {
		err = fault.New(fault.Internal, "%d bytes came", n)
	}
	return int64(took), err
}
