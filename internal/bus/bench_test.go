package bus_test

import (
	"context"
	"testing"

	"github.com/squall-faas/squall/internal/bus"
)

func BenchmarkRequest(b *testing.B) {
	n := network(b, bus.Options{})
	from, to := n.Join("a"), n.Join("b")
	if _, err := to.Subscribe("squall.ns.exec.e1.invoke", "", func(m bus.Msg) {
		_ = to.Publish(bus.Msg{Subject: m.Reply, Data: m.Data})
	}); err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	data := make([]byte, 128)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := from.Request(ctx, "squall.ns.exec.e1.invoke", data); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPublish(b *testing.B) {
	n := network(b, bus.Options{})
	from, to := n.Join("a"), n.Join("b")
	window := make(chan struct{}, 1024) // the publisher waits for those it sent 1,024 messages ago
	if _, err := to.Subscribe("squall.ns.hb.e1", "", func(bus.Msg) { <-window }); err != nil {
		b.Fatal(err)
	}
	data := make([]byte, 128)
	b.ReportAllocs()
	for b.Loop() {
		window <- struct{}{}
		if err := from.Publish(bus.Msg{Subject: "squall.ns.hb.e1", Data: data}); err != nil {
			b.Fatal(err)
		}
	}
}
