// Package api is how the command line, and any other tool on this machine, talks to a running appliance.
//
//	sourcegraph status ─▶ Client ─▶ <run-dir>/admin.sock ─▶ Serve ─▶ Backend (stage 1)
//	                                 SO_PEERCRED: who asks, and may they?
//
// Answers are JSON, with fields only ever added. Uid 0 and the appliance's own uid may do everything; members of the socket's group read.
// A call that changes something is handed over with its caller's uid and command line, for the history.
//
//	GET  /v1/status?service=…                     Status
//	POST /v1/start|stop|restart?service=…         Operation, once it is over; a caller that goes ends the waiting, not the operation
//	POST /v1/reload                               Change
//	POST /v1/shutdown                             202 before anything stops, since the answer could not come after it (E59)
//	GET  /v1/why?service=…                        []Link
//	GET  /v1/events?service=…&since=&until=&limit=&follow=             one Event a line
//	GET  /v1/logs?service=…&since=&until=&limit=&follow=&grep=&level=  one LogLine a line
//	POST /v1/exec-spec?service=…                  ExecSpec, secrets included: for who may do everything
//	GET  /v1/config                               effective configuration, secrets by reference
//
// A fault is an [Error] as JSON, with the exit code that a command ends with and the remedy. A stream that breaks after its first line
// carries it in the trailer Appliance-Error.
//
// The package knows no service and keeps no state: that is the [Backend]'s.
package api
