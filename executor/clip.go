package executor

import (
	"fmt"
	"strings"

	"github.com/squall-faas/squall/fault"
)

// mostWords is how many bytes of an error's message, and of its detail, leave the node. An error travels in every message
// that tells of a run's end, and in its record; a function that puts a document into one would have them all exceed what the
// transport carries. It is cut rather than offloaded: people read it, and its beginning and its end say what happened.
const mostWords = 32 << 10

// clip cuts the words of an error that are too many.
func clip(e *fault.Error) {
	e.Message, e.Detail = clipped(e.Message), clipped(e.Detail)
}

func clipped(s string) string {
	if len(s) <= mostWords {
		return s
	}
	const end = mostWords / 4
	head, tail := s[:mostWords-end], s[len(s)-end:]
	return strings.ToValidUTF8(head, "") + fmt.Sprintf(" … (%d bytes are left out) … ", len(s)-mostWords) + strings.ToValidUTF8(tail, "")
}
