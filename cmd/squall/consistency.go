package main

import (
	"strings"

	"github.com/spf13/pflag"

	"github.com/squall-faas/squall/kvs"
)

// levelFlag is a flag for a consistency level: lww, rr, sk, mk, dsc, strong, txn.
type levelFlag kvs.Level

// ackFlag is a flag for an acknowledgement: cached, stored, durable.
type ackFlag kvs.Ack

var (
	_ pflag.Value = (*levelFlag)(nil)
	_ pflag.Value = (*ackFlag)(nil)
)

// Set reads it.
func (l *levelFlag) Set(s string) error {
	level, err := kvs.ParseLevel(s)
	*l = levelFlag(level)
	return err
}

// String gives it back.
func (l *levelFlag) String() string { return kvs.Level(*l).String() }

// Type names it in the help.
func (l *levelFlag) Type() string { return "level" }

// Set reads it.
func (a *ackFlag) Set(s string) error {
	ack, err := kvs.ParseAck(s)
	*a = ackFlag(ack)
	return err
}

// String gives it back.
func (a *ackFlag) String() string { return kvs.Ack(*a).String() }

// Type names it in the help.
func (a *ackFlag) Type() string { return "ack" }

// levelNames lists the levels for help texts.
func levelNames() string {
	var names []string
	for _, l := range kvs.Levels() {
		names = append(names, l.String())
	}
	return strings.Join(names, ", ")
}
