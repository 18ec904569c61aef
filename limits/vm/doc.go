// Package vm runs the tests of a package inside a small virtual machine with a kernel of its own, for what the machine at hand
// may not have: cgroup v2 with all controllers, pressure figures, full capabilities. Only tests import it.
//
//	go test ─▶ [Run] ─▶ go test -c ─▶ initramfs ─▶ QEMU without KVM ─▶ init mounts, runs the tests, powers off ─▶ console is judged
//
//	func TestInVM(t *testing.T) {
//		vm.Run(t, ".", "TestE64|TestSet", map[string]string{"/bin/sh": "/bin/sh"})
//	}
//
// It takes about 4 s. The kernel is Debian's cloud kernel, fetched once by .ci/vm-kernel. Where it or QEMU is missing the test
// is skipped and says why, but fails if CI is set in the environment. The guest has no network beside loopback and no disk.
package vm
