// Package shm hands large values from one process of a host to another without sending them: the one that has a value
// writes it to a file in memory once, and the others map that file.
//
//	owner                                        reader, another process of the host
//	Publish(data) ──▶ /dev/shm/squall-<uid>/<owner>/<name>
//	Ticket() ─────── over any connection ──────▶ Map(ticket): opens the file, finds the ticket's nonce in it,
//	                                             and maps what follows: no copy
//	Remove() ──▶ the name goes; maps that exist stay good for as long as they are used
//
// That two processes are on one host, and see the same files, is not believed but proven: the reader opens the file and
// finds in it the random number that the ticket has. Containers of one machine with a /dev/shm each fail that, and send.
//
// # Lifetime
//
// Every process has a directory of its own with a lock that the kernel drops when the process ends, however that happens.
// Open sweeps: it removes the directories whose locks are free. A mapping needs no file name, so nobody waits for readers.
//
// A reader's bytes are garbage collected like any others: they lie in a piece of Go's heap over which the file is mapped,
// and from which it is taken away again when the collector finds that nobody refers to it (see overlay). A reader that
// writes to them, which values forbid, changes its own copy of the page and nobody else's.
//
// On systems other than Linux (amd64, arm64) Open gives unsupported; values go over the data port there.
package shm
