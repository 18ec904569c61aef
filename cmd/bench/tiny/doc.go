// Tiny is the service of the benchmarks: it says when it runs, on the clock that all processes share, and then does one thing.
//
//	tiny NAME SOCKET [ready=notify] [stop=50ms] [http=PORT] [lines=COUNT [rate=PER-SECOND]] [orphans=COUNT fifo=PATH pids=PATH]
//
// What it says is a datagram "NAME PID KIND NANOSECONDS" to SOCKET, KIND one of start, end, done, ready. It is a program of its own, since
// the start of a large one would hide the start of what supervises it.
package main
