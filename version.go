package squall

// Version of this release. The protocol has a version of its own (docs/formats/wire.md).
const Version = "0.1.0-dev"
