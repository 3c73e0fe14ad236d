package client_test

import (
	"bytes"
	"fmt"
	"io"
	"testing"

	"github.com/squall-faas/squall/cache/coded"
	"github.com/squall-faas/squall/client"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/backbone"
	"github.com/squall-faas/squall/internal/bus"
	"github.com/squall-faas/squall/internal/peer"
)

// TestObjects puts, reads, lists and removes objects through the SDK, with lenders on loopback.
func TestObjects(t *testing.T) {
	m, err := backbone.NewMemory("", bus.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	b := m.Join("client")
	b.Pipes = nil // the lenders listen on TCP
	defer b.Close()
	secret, err := peer.Secret(t.Context(), b.System)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		lb := m.Join(fmt.Sprint("lender", i))
		tier, err := coded.New(coded.Config{Namespace: lb.Namespace, Bus: lb.Bus, Store: lb.System, Secret: secret})
		if err != nil {
			t.Fatal(err)
		}
		defer tier.Close()
		l, err := coded.NewLender(tier, coded.LenderConfig{Name: fmt.Sprint("lender", i), Most: 8 << 20, Lend: 8 << 20})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
	}
	c, err := client.Over(b, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	o, err := c.Objects(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if again, err := c.Objects(t.Context()); err != nil || again != o {
		t.Fatal("the objects are made once", err)
	}
	text := bytes.Repeat([]byte("0123456789"), 100_000)
	if _, err := o.Put(t.Context(), "k", io.MultiReader(bytes.NewReader(text)), client.ObjectOptions{ContentType: "text/plain"}); err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	i, err := o.Get(t.Context(), "k", &got)
	if err != nil || !bytes.Equal(got.Bytes(), text) || i.Kind != "text/plain" || i.Size != int64(len(text)) {
		t.Fatalf("%+v %v", i, err)
	}
	got.Reset()
	if _, err := o.GetRange(t.Context(), "k", 654_321, 9, &got); err != nil || got.String() != "123456789" {
		t.Fatal(got.String(), err)
	}
	s, err := o.Stat(t.Context(), "k")
	if err != nil || s.Lenders != 1 || len(s.Shards) != 3 {
		t.Fatalf("%+v %v", s, err)
	}
	if keys, next, err := o.List(t.Context(), "", "", 10); err != nil || len(keys) != 1 || keys[0] != "k" || next != "" {
		t.Fatal(keys, next, err)
	}
	if _, err := o.PutBytes(t.Context(), "k", text, client.ObjectOptions{Code: "ten"}); !fault.Is(err, fault.InvalidArgument) {
		t.Fatal(err)
	}
	if err := o.Delete(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	if _, err := o.Head(t.Context(), "k"); !fault.Is(err, fault.NotFound) {
		t.Fatal(err)
	}
}
