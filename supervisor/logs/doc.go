// Package logs carries what services print to files, without losing a line and without ever holding a service up.
//
//	service ─▶ pipe ─tee▶ own pipe ─▶ redact, stamp ─▶ <dir>/<service>/current ─▶ consume the same bytes
//	             │                          │                    │ full, old
//	    stage 0 holds the read end          ├─▶ watchers         └─▶ @<time>.log ─▶ @<time>.log.zst
//	                                        ├─▶ standard output
//	                                        └─▶ memory, while the disk is full or stalled
//
// Bytes leave a service's pipe only after they are written. A pipe outlives the supervisor, so a killed supervisor may write its
// last block twice, never lose one. A full pipe holds the service up only while the disk advances; once the disk is full or stalled
// lines go to a bounded memory, oldest dropped first, and a line in the log says exactly how many.
//
// A log is text, one line each: time, run number, text. A "+" behind the run number means that the line was too long and goes on in
// the next one; a "!" means that the appliance, not the service, says this. A service's own output cannot forge either.
//
//	2026-01-02T03:04:05.678Z 3 listening on 127.0.0.1:3178
//	2026-01-02T03:04:05.679Z 3! 12 lines, 3456 bytes dropped: no space left on device
//
// The bytes of a line are kept as they are; who shows them to a person calls [Escape]. The package starts no service and knows
// nothing of their states.
package logs
