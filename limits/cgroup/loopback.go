package cgroup

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// KeepOnLoopback turns every TCP listener on all interfaces that a process of the group opens from now on into one on 127.0.0.1: the
// kernel rewrites the address of its bind(2), so the program sees the address that it really has. Other addresses stay as they are, UDP does, too,
// and so does a listener that came from outside. It holds as long as the group exists, also without us.
//
// It needs cgroup2, which may be one without controllers, and CAP_BPF and CAP_NET_ADMIN (Linux 4.17, 5.8). The error says what is missing.
func (g *Group) KeepOnLoopback() error {
	fd, ok := g.SpawnFD()
	if !ok {
		return errNoUnified
	}
	return g.tree.binding.attach(fd)
}

var errNoUnified = errors.New("the kernel can keep listeners on loopback only in a cgroup2 tree, and there is none of ours")

// CanKeepOnLoopback says why [Group.KeepOnLoopback] will fail for each group; nil if it will not.
func (t *Tree) CanKeepOnLoopback() error {
	if t.unified == nil {
		return errNoUnified
	}
	g, err := t.Create("loopback-0.0", Budget{})
	if err != nil {
		return err
	}
	err = g.KeepOnLoopback()
	g.Close()
	return errors.Join(err, g.Remove())
}

// binding is the pair of programs, loaded once and attached to many groups.
type binding struct {
	once   sync.Once
	v4, v6 int // descriptors, kept as long as we live
	err    error
}

func (b *binding) attach(group int) error {
	b.once.Do(b.load)
	if b.err != nil {
		return b.err
	}
	return errors.Join(attach(group, b.v4, unix.BPF_CGROUP_INET4_BIND), attach(group, b.v6, unix.BPF_CGROUP_INET6_BIND))
}

func (b *binding) load() {
	var err4, err6 error
	b.v4, err4 = load(rewrite4(), unix.BPF_CGROUP_INET4_BIND)
	b.v6, err6 = load(rewrite6(), unix.BPF_CGROUP_INET6_BIND)
	b.err = errors.Join(err4, err6)
}

// instruction of the kernel's BPF machine. Source: Linux, Documentation/bpf/standardization/instruction-set.rst.
type instruction struct {
	code      uint8
	registers uint8 // destination in the low half, source in the high
	offset    int16
	immediate int32
}

// Offsets of struct bpf_sock_addr, the first argument (r1) of both programs. Source: Linux, include/uapi/linux/bpf.h.
const (
	userIP4  = 4
	userIP6  = 8
	sockType = 32
)

// 127.0.0.1, and the half of ::ffff:127.0.0.1 before it, as they lie in memory: an IPv6 socket bound to it takes IPv4's connections, as one
// bound to :: does.
var (
	loopback4  = int32(binary.NativeEndian.Uint32([]byte{127, 0, 0, 1}))
	mappedHalf = int32(binary.NativeEndian.Uint32([]byte{0, 0, 0xff, 0xff}))
)

// rewrite4 is: if the socket is a stream and its address 0.0.0.0, it is 127.0.0.1. Return 1, which allows the bind.
func rewrite4() []instruction {
	return []instruction{
		moveTo(0, 1),
		loadWord(2, sockType), jumpUnless(2, unix.SOCK_STREAM, 4),
		loadWord(2, userIP4), jumpUnless(2, 0, 2),
		moveTo(2, loopback4), storeWord(userIP4, 2),
		exit(),
	}
}

// rewrite6 is the same for :: and ::ffff:127.0.0.1.
func rewrite6() []instruction {
	return []instruction{
		moveTo(0, 1),
		loadWord(2, sockType), jumpUnless(2, unix.SOCK_STREAM, 12),
		loadWord(2, userIP6), jumpUnless(2, 0, 10),
		loadWord(2, userIP6+4), jumpUnless(2, 0, 8),
		loadWord(2, userIP6+8), jumpUnless(2, 0, 6),
		loadWord(2, userIP6+12), jumpUnless(2, 0, 4),
		moveTo(2, mappedHalf), storeWord(userIP6+8, 2),
		moveTo(2, loopback4), storeWord(userIP6+12, 2),
		exit(),
	}
}

func moveTo(register uint8, value int32) instruction {
	return instruction{code: unix.BPF_ALU64 | unix.BPF_MOV | unix.BPF_K, registers: register, immediate: value}
}

// loadWord reads 4 bytes of the argument.
func loadWord(register uint8, at int16) instruction {
	return instruction{code: unix.BPF_LDX | unix.BPF_MEM | unix.BPF_W, registers: register | 1<<4, offset: at}
}

// storeWord writes 4 bytes to the argument.
func storeWord(at int16, register uint8) instruction {
	return instruction{code: unix.BPF_STX | unix.BPF_MEM | unix.BPF_W, registers: 1 | register<<4, offset: at}
}

func jumpUnless(register uint8, value int32, over int16) instruction {
	return instruction{code: unix.BPF_JMP | unix.BPF_JNE | unix.BPF_K, registers: register, immediate: value, offset: over}
}

func exit() instruction { return instruction{code: unix.BPF_JMP | unix.BPF_EXIT} }

// load gives a program to the kernel, whose verifier has to like it.
func load(program []instruction, attachType uint32) (int, error) {
	license := []byte("Apache-2.0\x00") // no helper is called, so any will do
	attr := struct {
		programType, count        uint32
		instructions, license     uint64
		logLevel, logSize         uint32
		log                       uint64
		kernelVersion, flags      uint32
		name                      [16]byte
		interfaceIndex, expecting uint32
	}{
		programType: unix.BPF_PROG_TYPE_CGROUP_SOCK_ADDR, count: uint32(len(program)), expecting: attachType,
		instructions: uint64(uintptr(unsafe.Pointer(&program[0]))), license: uint64(uintptr(unsafe.Pointer(&license[0]))),
	}
	copy(attr.name[:], "keep_loopback")
	fd, err := bpf(unix.BPF_PROG_LOAD, unsafe.Pointer(&attr), unsafe.Sizeof(attr))
	runtime.KeepAlive(program)
	runtime.KeepAlive(license)
	if err != nil {
		return 0, fmt.Errorf("keep listeners on loopback: load a program for the kernel: %w", err)
	}
	unix.CloseOnExec(fd)
	return fd, nil
}

// attach adds a program to those of a group. The group keeps it.
func attach(group, program int, attachType uint32) error {
	attr := struct{ target, program, attachType, flags, replaced uint32 }{uint32(group), uint32(program), attachType, unix.BPF_F_ALLOW_MULTI, 0}
	if _, err := bpf(unix.BPF_PROG_ATTACH, unsafe.Pointer(&attr), unsafe.Sizeof(attr)); err != nil {
		return fmt.Errorf("keep listeners on loopback: attach a program to the cgroup: %w", err)
	}
	return nil
}

// bpfTries: the verifier gives up when a signal comes, such as those by which Go preempts threads.
const bpfTries = 10

func bpf(command int, attr unsafe.Pointer, size uintptr) (int, error) {
	var errno unix.Errno
	for range bpfTries {
		var fd uintptr
		if fd, _, errno = unix.Syscall(unix.SYS_BPF, uintptr(command), uintptr(attr), size); errno == 0 {
			return int(fd), nil
		}
		if errno != unix.EINTR && errno != unix.EAGAIN {
			break
		}
	}
	return 0, os.NewSyscallError("bpf", errno)
}
