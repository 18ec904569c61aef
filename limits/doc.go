// Package limits does the arithmetic of budgets: sizes and shares of CPUs as people write them.
//
// It does no I/O. Package limits/cgroup puts a budget into force, limits/vm lends tests a kernel with cgroup v2.
package limits
