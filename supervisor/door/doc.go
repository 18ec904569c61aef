// Package door is the front door: the process that owns the listeners and the open connections, and that outlives the supervisor.
//
//	stage 1 ──State, listeners, beats──▶ door ◀── browsers, API clients
//	        ◀──────────Stats────────────  │
//	                                      └──▶ the frontend, the only address it ever connects to
//
// Every HTTP/1 request, in clear or under TLS, is read by one strict parser (head.go). What is simple (proxy mode, a known length that
// fits one buffer, nothing to negotiate) is forwarded by the connection's own goroutine (conn.go), without allocation and with splice(2)
// for large answers. Everything else is handed over, with the bytes already read, to net/http (handler.go, proxy.go): upgrades, large and chunked
// request bodies, Expect, HTTP/1.0, our own pages, and requests that must wait for the frontend. That server answers one request and closes, so that no head
// escapes the strict parser. HTTP/2 is net/http's alone.
//
// A request is held (hold.go) in hold mode, and in proxy mode when the frontend refuses connections: until the frontend answers, at most
// Limits.HoldFor. It is sent again only if nothing of it was sent, or if it is a GET, HEAD or OPTIONS without a body of which no byte was answered, and then at most
// twice, so that a request that crashes the frontend cannot do so for ever.
//
// The door keeps the last State while stage 1 is away. It does not decide: what mode it is in, and what a page says, comes from stage 1.
package door
