package peer

import (
	"context"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/xfer"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

// secretKey is where, in the system space, the secret of the namespace's data ports is kept.
const secretKey = kvs.Key("secret/data-port")

// Secret gives the secret that the namespace's data ports share, and draws it at the first time.
func Secret(ctx context.Context, system kvs.Store) (xfer.Secret, error) {
	for {
		e, err := system.Get(ctx, secretKey)
		if err == nil {
			b, err := value.As[[]byte](e.Value)
			if err != nil || len(b) != len(xfer.Secret{}) {
				return xfer.Secret{}, fault.New(fault.Unavailable, "the data ports' secret in the store cannot be read: delete key %q of the system space", string(secretKey))
			}
			return xfer.Secret(b), nil
		}
		if !fault.Is(err, fault.NotFound) {
			return xfer.Secret{}, err
		}
		fresh := xfer.NewSecret()
		_, err = system.CompareAndSet(ctx, secretKey, value.MustOf(fresh[:]), 0, kvs.PutOptions{})
		if err == nil {
			return fresh, nil
		}
		if !fault.Is(err, fault.Conflict) {
			return xfer.Secret{}, err
		}
	}
}
