package native

import (
	"bytes"
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"io"
	"os"
	"sync"

	"github.com/squall-faas/squall/internal/id"
)

// buildID identifies the running executable in 16 hex digits: by the build id that the Go linker leaves in an ELF
// file, elsewhere by its content. If neither can be read, it is random, and the process agrees with no other.
var buildID = sync.OnceValue(func() string {
	path, err := os.Executable()
	if err != nil {
		return id.Token(16)
	}
	h := sha256.New()
	if note := goNote(path); note != nil {
		h.Write(note)
	} else if err := hashFile(h, path); err != nil {
		return id.Token(16)
	}
	return hex.EncodeToString(h.Sum(nil))[:16]
})

// goNote is the content of the ELF note that holds the Go build id; nil where there is none, or an empty one, as
// -ldflags=-buildid= leaves it.
func goNote(path string) []byte {
	f, err := elf.Open(path)
	if err != nil {
		return nil
	}
	defer func() { _ = f.Close() }()
	s := f.Section(".note.go.buildid")
	if s == nil {
		return nil
	}
	const header = 16 // sizes, type and "Go\0\0"
	b, err := s.Data()
	if err != nil || len(b) <= header || len(bytes.Trim(b[header:], "\x00")) == 0 {
		return nil
	}
	return b[header:]
}

func hashFile(h io.Writer, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	_, err = io.Copy(h, f)
	return err
}
