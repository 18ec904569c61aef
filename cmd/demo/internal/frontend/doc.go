// Package frontend is the demo's web server: pages, GraphQL, the search stream, and the configuration of all other services.
//
//	127.0.0.1:3080  pages, /.api/graphql, /.api/search/stream, /-/site-init, /-/sign-in, /healthz     (SRC_HTTP_ADDR)
//	127.0.0.1:3090  /.internal/configuration: without credentials, never to be exposed                (SRC_HTTP_ADDR_INTERNAL)
//
// Users, tokens and repositories are in PostgreSQL, sessions in redis-store. Whether a stranger may make the first administrator is the front
// door's to decide; that it happens only once is decided here.
package frontend
