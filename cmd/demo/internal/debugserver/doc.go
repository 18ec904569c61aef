// Package debugserver serves what every Sourcegraph process serves on SRC_PROF_HTTP (:6060 by default): /healthz, /ready, /metrics, /vars,
// POST /gc, POST /freeosmemory and /debug/pprof.
package debugserver
