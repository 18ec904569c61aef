// Package fault makes a demo service misbehave on purpose, so that the supervisor's tests and the self-test have something real to find.
//
// Everything is off unless an environment variable asks for it:
//
//	DEMO_SLOW_START=2s        wait this long before listening
//	DEMO_LEAK_MB_PER_S=10     touch that much more memory every second, up to 4 GiB
//	DEMO_CRASH_AFTER=5s       panic after this long (exit status 2)
//	DEMO_HANG_AFTER=5s        answer no request any more after this long, health checks included
//	DEMO_WRONG=1              stay healthy, and answer everything else wrongly
//	DEMO_FORK_ESCAPE=3        start that many helpers that leave session and parent, ignore TERM, and end by themselves after 10 minutes
//	DEMO_LOG_LINES_PER_S=1000 write that many 120-byte lines a second to stderr
//
// A value that cannot be read is an error at start that names the variable, the value and the form it takes.
package fault
