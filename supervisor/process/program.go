package process

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// checkProgram finds out why program cannot be executed by who; nil if nothing is wrong with the file itself.
func checkProgram(program string, who identity) *fault {
	if f := checkParents(program, who); f != nil {
		return f
	}
	var st unix.Stat_t
	if err := unix.Stat(program, &st); err != nil {
		return &fault{StepExec, program, "there is no such program", ""}
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return &fault{StepExec, program, "not a regular file", ""}
	}
	if !who.may(&st, 1) {
		return &fault{StepExec, program, fmt.Sprintf("not executable by %s (mode %04o, owner %d:%d)", who, st.Mode&0o7777, st.Uid, st.Gid), "chmod +x " + program}
	}
	if noexec(program) {
		return &fault{StepExec, program, "its file system is mounted noexec", "use a directory on a file system without noexec"}
	}
	return checkContent(program, who)
}

func noexec(path string) bool {
	var fs unix.Statfs_t
	return unix.Statfs(path, &fs) == nil && fs.Flags&unix.ST_NOEXEC != 0
}

// checkContent looks at the first bytes: a script's interpreter, an ELF file's machine and loader.
func checkContent(program string, who identity) *fault {
	f, err := os.Open(program)
	if err != nil {
		return nil // execute-only: nothing to find out
	}
	defer f.Close()
	head := make([]byte, 256)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return nil
	}
	switch head = head[:n]; {
	case n == 0:
		return &fault{StepExec, program, "the file is empty", ""}
	case bytes.HasPrefix(head, []byte("#!")):
		return checkInterpreter(program, scriptInterpreter(head), who)
	case bytes.HasPrefix(head, []byte(elf.ELFMAG)):
		return checkELF(program, f, who)
	default:
		return &fault{StepExec, program, "neither an ELF program nor a script with a #! line", ""}
	}
}

func scriptInterpreter(head []byte) string {
	line, _, _ := bytes.Cut(head[2:], []byte("\n"))
	if words := strings.Fields(string(line)); len(words) > 0 {
		return words[0]
	}
	return ""
}

func checkELF(program string, f *os.File, who identity) *fault {
	file, err := elf.NewFile(f)
	if err != nil {
		return &fault{StepExec, program, "damaged ELF program: " + err.Error(), ""}
	}
	if want := machine(); want != elf.EM_NONE && file.Machine != want {
		return &fault{StepExec, program, fmt.Sprintf("built for %s, this machine is %s", architecture(file.Machine), architecture(want)),
			"use the release for " + runtime.GOARCH}
	}
	for _, part := range file.Progs {
		if part.Type != elf.PT_INTERP || part.Filesz > 4096 {
			continue
		}
		name, err := io.ReadAll(part.Open())
		if err != nil {
			return &fault{StepExec, program, "damaged ELF program: " + err.Error(), ""}
		}
		return checkInterpreter(program, strings.TrimRight(string(name), "\x00"), who)
	}
	return nil
}

func checkInterpreter(program, interpreter string, who identity) *fault {
	if interpreter == "" {
		return &fault{StepInterpreter, program, "its #! line names no interpreter", ""}
	}
	if !filepath.IsAbs(interpreter) {
		return nil // relative to a working directory that only the child has
	}
	var st unix.Stat_t
	if err := unix.Stat(interpreter, &st); err != nil {
		return &fault{StepInterpreter, interpreter, fmt.Sprintf("the interpreter that %s needs is missing", program),
			"install what brings " + interpreter + ", or use a statically linked program"}
	}
	if !who.may(&st, 1) {
		return &fault{StepInterpreter, interpreter, fmt.Sprintf("the interpreter that %s needs is not executable by %s", program, who), ""}
	}
	return nil
}

func machine() elf.Machine {
	switch runtime.GOARCH {
	case "amd64":
		return elf.EM_X86_64
	case "arm64":
		return elf.EM_AARCH64
	default:
		return elf.EM_NONE
	}
}

func architecture(m elf.Machine) string {
	switch m {
	case elf.EM_X86_64:
		return "amd64"
	case elf.EM_AARCH64:
		return "arm64"
	default:
		return m.String()
	}
}
