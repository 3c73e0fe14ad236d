// Package wire holds every subject, message and stored record that nodes of Squall exchange: one place to read the
// protocol, and one place to fuzz it.
//
// A message is a version byte, a type byte and a CBOR body with integer keys. Unknown keys are ignored, so that a
// field can be added; an unknown version is refused in words. Deadlines travel as the time that remains, because
// clocks differ. Values travel in their wire form, or by reference where they are large (see [Value]).
//
//	client ──Call──▶ coordinator ──Deliver──▶ executor ──Deliver──▶ executor ──Outcome──▶ client
//	                      ▲                    │    │ ▲
//	                      └──────Report────────┘    └─┴─ Exec, Result (items of a Map), Failure, Release
//
// Between coordinator and executors, and between executors, messages travel in a [Frame] over a link: numbered,
// acknowledged cumulatively off the critical path, sent again when lost (package link).
package wire
