// Package stage0 is the process that must not die: process 1 of a container, main process of the systemd unit, or the
// foreground process of a terminal. It starts the supervisor ("stage 1"), starts it again when it ends, holds the
// descriptors that must outlive it, and reaps everything.
//
//	          TERM INT PWR ─▶ ordered stop        HUP ─▶ reload, or stop if the terminal is gone
//	                              │                QUIT ─▶ goroutine dump
//	┌──────────┐  fd 3, packets   ▼
//	│ stage 1  │◀───────────▶ ┌─────────┐ ─▶ sd_notify
//	└──────────┘              │ stage 0 │    lock of the data directory, stored descriptors,
//	   │ parent of            └─────────┘    exits that stage 1 has not acknowledged
//	services ── orphaned when stage 1 dies ──▶ children of stage 0, reaped and reported to the next stage 1
//
// Promises:
//
//   - [Run] returns only when everything below it is dead. The one exception is a process that SIGKILL does not end
//     within [Timings].KillWait; it is named.
//   - It never waits for stage 1: the socket is non-blocking, its queue bounded, any bytes on it survived.
//   - A stage 1 that ends without DONE is started again; one that does not beat is asked for a dump, killed, started again.
//   - An exit of a process that stage 1 made known is kept until it is acknowledged, across lives of stage 1.
//   - A second [Run] on the same data directory is refused while stage 0 or stage 1 of the first one lives.
//
// It does not read configuration, knows no service, and imports only the standard library and x/sys: a test holds that.
// The other end of the protocol, [Inherit] and [Conn], is here too, so that both ends are one piece of code.
//
// # The protocol as stage 1 sees it
//
// First comes HELLO with the numbers of GIVE and EXIT messages that follow: after those the inventory is complete.
// HELLO.Stop says that this life is to stop everything until HELLO.Deadline. Stage 1 sends BEAT from its real loop at
// least every 5 s, at once when a STOP arrives, and every second while it stops. It sends KNOW after each fork, STORE before it; ACK
// for an EXIT that it has recorded, and also for a known process that it reaped itself. READY once the door is up and
// again as the answer to each RELOAD, accepted or not. DONE just before it ends in order. io.EOF from Recv means that stage 0 died.
package stage0
