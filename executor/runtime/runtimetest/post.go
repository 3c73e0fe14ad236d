package runtimetest

import (
	"strconv"
	"sync"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/fn"
	"github.com/squall-faas/squall/value"
)

// post carries messages between Contexts.
type post struct {
	mu    sync.Mutex // guards boxes
	boxes map[string]chan message
}

type message struct {
	from string
	v    value.Value
}

// mailboxSize is how many messages wait at most.
const mailboxSize = 8

func newPost() *post { return &post{boxes: map[string]chan message{}} }

// open makes one more mailbox and gives its address.
func (p *post) open() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	address := "e1." + strconv.Itoa(len(p.boxes))
	p.boxes[address] = make(chan message, mailboxSize)
	return address
}

func (p *post) box(address string) chan message {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.boxes[address]
}

// Address implements fn.Context.
func (c *Context) Address() string { return c.address }

// SendValue implements fn.Context.
func (c *Context) SendValue(to string, v value.Value) error {
	box := c.post.box(to)
	if box == nil {
		return fault.New(fault.NotFound, "the function at %q has returned", to)
	}
	select {
	case box <- message{c.address, v}:
		return nil
	default:
		return &fault.Error{Code: fault.Overloaded, Message: "the mailbox is full", RetryAfter: 7}
	}
}

// RecvValue implements fn.Context.
func (c *Context) RecvValue() (from string, v value.Value, err error) {
	select {
	case m := <-c.post.box(c.address):
		return m.from, m.v, nil
	case <-c.Done():
		return "", value.Value{}, fn.Ended(c)
	}
}
