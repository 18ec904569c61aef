// Package lifecycle gives every demo service the same life: one logger, one way to be stopped, one way to drain.
//
//	first TERM, INT or HUP ─▶ ctx ends ─▶ listeners close, requests finish (SRC_GRACEFUL_SHUTDOWN_TIMEOUT, 10 s) ─▶ exit 0
//	second signal          ─▶ exit 0 at once
package lifecycle
