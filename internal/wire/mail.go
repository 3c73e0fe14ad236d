package wire

import "github.com/squall-faas/squall/fault"

// The messages between functions.
const (
	TypeMail   Type = 28 // executor → executor: a message of one invocation to another
	TypeMailed Type = 29 // its answer
)

// Mail is a message of one invocation to another, sent to Subjects.Mail; Mailed answers it once it is in the receiver's
// mailbox. Addresses are the executors' own, see package executor.
type Mail struct {
	From  string `cbor:"1,keyasint"`
	To    string `cbor:"2,keyasint"`
	Seq   uint64 `cbor:"3,keyasint"` // grows with each message of a sender, so that one that was overtaken is known
	Value Value  `cbor:"4,keyasint"`
}

func (*Mail) wireType() Type { return TypeMail }

// Mailed answers a Mail.
type Mailed struct {
	Err *fault.Error `cbor:"1,keyasint,omitempty"`
}

func (*Mailed) wireType() Type { return TypeMailed }

// Mail is where messages to an executor's invocations go.
func (s Subjects) Mail(executor string) string { return s.prefix + "mail." + executor }
