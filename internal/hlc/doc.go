// Package hlc orders the writes of a fleet without a message: hybrid logical clocks (Kulkarni et al., "Logical Physical
// Clocks", OPODIS 2014). A [Stamp] is close to the wall clock, so that "last" means about what people mean by it, and it
// never contradicts causality: who has seen a stamp makes only greater ones.
//
// A clock that is ahead drags others with it, through every stamp of its that they see, and a clock that is behind has
// its writes lose. So there are two bounds. [Clock.Observe] refuses stamps that are too far ahead, and [Skew] estimates,
// from messages that come anyway, how far this node is off the fleet's median, so that it can stop writing by itself.
//
//	           ┌─────────────── Time, 64 bits ───────────────┐
//	Stamp      │ microseconds since 1970: 52 │ logical: 12   │  Node, 64 bits: breaks ties
//
// The logical part counts the stamps of one microsecond. Where it is full it carries into the next microsecond, which is
// harmless: the wall clock comes after.
package hlc
