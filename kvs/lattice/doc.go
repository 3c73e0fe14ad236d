// Package lattice holds what a key can hold besides a plain value: states that replicas change on their own and merge
// later, in any order and any number of times, and agree (Anna, ICDE '18; Shapiro et al., SSS '11).
//
//	type        Read gives                            operations                concurrent changes
//	register    the value                             assign                    the highest stamp wins
//	multivalue  the sibling with the highest stamp    assign-multi              all are kept, as siblings
//	counter     an int                                add                       all count
//	growset     a sorted list                         grow                      all are kept
//	set         a sorted list                         insert, remove            an insert wins over a remove
//	map         a map of field → what it reads        field, remove-field       an update wins over a removal
//	max, min    a number or text                      max, min                  the greatest, or least
//
// A [State] is immutable. Join and Apply return another one, which may share memory with those it was made of. An [Op] is
// an update that can travel and be recorded before it meets a state.
//
// # Actors
//
// [By.Actor] names a replica: a place where updates happen one after the other. Whoever applies an op as an actor applies
// it to a state in which all earlier ops of that actor to the key are merged. An actor that lost its state, as by a
// restart, has to take another number. Counters and dots rest on this: the second of two ops that an actor applies to the
// same old state would replace the first one.
//
// # Dots
//
// The nth event of an actor on a key is the [Dot] {actor, n}. A state that forgets says so by its [VectorClock], without
// tombstones: a dot that the clock covers and the state does not have was seen and removed. A join keeps the dots that
// both have, and those that only one has and the other's clock does not cover (Preguiça et al. 2010 for siblings; ORSWOT,
// Bieniusa et al. 2012, for sets).
//
// All that is in a [Map] shares the map's clock (Almeida, Shoker, Baquero, "Delta state replicated data types", 2018).
// So a field may be removed and made again while another replica still updates its former life, and no update is lost.
// Every update of a field leaves its dot as the field's presence, even one that only removes something inside it.
// What an update that wins over a concurrent removal brings back:
//
//	set, map, multivalue         what was added without the remover's knowledge
//	counter                      what the actors that the remover was not up to date with had added since they last saw
//	                             the field made
//	register, growset, max, min  what the updater saw, as if it had written it
//
// A field that two replicas create at once with different types keeps both, since neither may get lost: it reads as the
// one with the lower [Type] until it is removed. So the join of two maps always succeeds.
//
// # Bytes
//
// One byte of [Type], then one item of CBOR in its deterministic form (RFC 8949 §4.2.1). Equal states have equal bytes, and
// decoders take only what this package writes. A value is a byte string of its wire form; see package value.
//
//	clock        {actor: counter, …}                           in order of actors; counters from 1
//	dots         [actor, counter, …]                           in order
//	siblings     [[actor, counter, time, node, value], …]      in order of dots
//	elements     [[value, dots], …]                            in order of values
//	fields       [[name, species, presence dots, content], …]  in order of names and species
//
//	register     1  [time, node, value]
//	multivalue   2  [clock, siblings]                          its head alone: 0x82 [clock, [[actor, counter, time, node], …]]
//	counter      3  [[actor, increments, decrements], …]       in order of actors
//	growset      4  [value, …]                                 in order
//	set          5  [clock, elements]
//	map          6  [clock, fields]
//	max, min     7, 8  value
//
// The species of a field is the type of what it holds, plus 64 for a max or min over text. Its content is siblings,
// elements or fields, or else what replicas contribute, [[actor, counter, state], …], each state without its type byte.
package lattice
