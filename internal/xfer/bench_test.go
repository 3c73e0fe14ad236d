//go:build unix

package xfer

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// cpuTime of the process so far. On a busy machine it is steadier than the clock.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkFetch sets a Fetch from one and from three peers beside a bare net/http body of the same size, all on
// loopback in one process, each into memory of its own. Only xfer checks what came.
func BenchmarkFetch(b *testing.B) {
	for _, size := range []int{4 << 10, 1 << 20, 64 << 20, 1 << 30} {
		if size > 64<<20 && testing.Short() {
			continue
		}
		value := random(size)
		b.Run(fmt.Sprintf("http/%d", size), func(b *testing.B) { benchHTTP(b, value) })
		for _, peers := range []int{1, 3} {
			b.Run(fmt.Sprintf("xfer-%d/%d", peers, size), func(b *testing.B) { benchFetch(b, value, peers) })
		}
	}
}

func benchFetch(b *testing.B, value []byte, peers int) {
	var addrs []string
	for range peers {
		addrs = append(addrs, serve(b, ServerConfig{Source: shelf{"v": value}}).Addr())
	}
	c := dialer(b, ClientConfig{})
	measure(b, len(value), func() {
		got, err := c.Fetch(b.Context(), addrs, ref("v"), right("v"), int64(len(value)))
		if err != nil || len(got) != len(value) {
			b.Fatal(err)
		}
	})
}

// BenchmarkRanges: 64 MiB from one peer, by size of the ranges and number of streams.
func BenchmarkRanges(b *testing.B) {
	value := random(64 << 20)
	for _, size := range []int64{512 << 10, 1 << 20, 4 << 20} {
		for _, streams := range []int{1, 2, 3} {
			b.Run(fmt.Sprintf("%dKiB/%d", size>>10, streams), func(b *testing.B) {
				addrs := []string{serve(b, ServerConfig{Source: shelf{"v": value}}).Addr()}
				c := dialer(b, ClientConfig{RangeSize: size, StreamsPerPeer: streams})
				measure(b, len(value), func() {
					if _, err := c.Fetch(b.Context(), addrs, ref("v"), right("v"), int64(len(value))); err != nil {
						b.Fatal(err)
					}
				})
			})
		}
	}
}

// measure op, after one that is not counted: the first use of memory costs more than anything else.
func measure(b *testing.B, bytes int, op func()) {
	op()
	b.SetBytes(int64(bytes))
	b.ReportAllocs()
	before := cpuTime(b)
	for b.Loop() {
		op()
	}
	b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N), "cpu-ns/op")
}

func benchHTTP(b *testing.B, value []byte) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(len(value)))
		_, _ = w.Write(value)
	})}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(l)
	}()
	client := &http.Client{Transport: &http.Transport{}}
	b.Cleanup(func() {
		client.CloseIdleConnections()
		_ = server.Close()
		<-served
	})
	measure(b, len(value), func() {
		resp, err := client.Get("http://" + l.Addr().String())
		if err != nil {
			b.Fatal(err)
		}
		got := make([]byte, resp.ContentLength)
		if _, err := io.ReadFull(resp.Body, got); err != nil {
			b.Fatal(err)
		}
		_ = resp.Body.Close()
	})
}
