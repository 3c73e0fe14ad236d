package xfer

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/squall-faas/squall/fault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var testSecret = Secret{1, 2, 3}

// shelf is a Source of values in memory by key.
type shelf map[string][]byte

func (s shelf) Open(_ context.Context, ref Ref) (Blob, error) {
	b, ok := s[ref.Key]
	if !ok {
		return nil, fault.New(fault.NotFound, "no value %q here", ref.Key)
	}
	return Bytes(b), nil
}

// random bytes, the same for the same size.
func random(size int) []byte {
	b := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{byte(size)}).Read(b)
	return b
}

func ref(key string) Ref { return Ref{Key: key, Version: "1"} }

// right is a capability for the test's namespace that does not expire meanwhile.
func right(key string) Capability {
	return testSecret.Mint("test", ref(key), time.Now().Add(time.Hour))
}

func serve(t testing.TB, cfg ServerConfig) *Server {
	t.Helper()
	cfg.Namespace, cfg.Secrets = "test", []Secret{testSecret}
	s, err := NewServer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func dialer(t testing.TB, cfg ClientConfig) *Client {
	t.Helper()
	c, err := NewClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}
