// Package natsconn opens connections to NATS and runs the embedded NATS server: every setting that decides how
// Squall meets a network is here, and nowhere else.
//
// [Dial] connects to servers that run elsewhere. [Embed] runs one in this process, with JetStream in a directory,
// with or without a TCP listener; [Server.Dial] connects to it without a socket.
package natsconn
