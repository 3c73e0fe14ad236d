package coded

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"

	"github.com/squall-faas/squall/internal/xfer"
)

// proof shows that its maker knows the secret, to one lender on one connection: the nonce is that lender's.
func proof(secret xfer.Secret, nonce []byte, namespace string) []byte {
	h := hmac.New(sha256.New, secret[:])
	h.Write([]byte(proofPurpose))
	h.Write(nonce)
	h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(namespace))))
	h.Write([]byte(namespace))
	return h.Sum(nil)
}
