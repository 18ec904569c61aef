package cgroup

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// write puts a value into an existing file with one write(2). Neither O_CREAT nor O_TRUNC, and no second attempt for what is left:
// files here are calls into the kernel, and a repeated one acts twice.
func write(dir, file, value string) error {
	path := filepath.Join(dir, file)
	fd, err := open(path, unix.O_WRONLY)
	if err == nil {
		defer unix.Close(fd)
		err = writeFD(fd, value)
	}
	if err != nil {
		return fmt.Errorf("write %q to %s: %w", value, path, err)
	}
	return nil
}

func writeFD(fd int, value string) error {
	for {
		_, err := unix.Write(fd, []byte(value))
		if err != unix.EINTR {
			return err
		}
	}
}

func open(path string, flags int) (int, error) {
	for {
		fd, err := unix.Open(path, flags|unix.O_CLOEXEC, 0)
		if err != unix.EINTR {
			return fd, err
		}
	}
}

// read returns the trimmed content of a small file.
func read(dir, file string) (string, error) {
	data, err := os.ReadFile(filepath.Join(dir, file))
	return string(bytes.TrimSpace(data)), err
}

// number reads a file that holds one number.
func number(dir, file string) (int64, error) {
	text, err := read(dir, file)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", filepath.Join(dir, file), err)
	}
	return n, nil
}

// field reads one value of a file of "key value" lines; zero if the key is absent.
func field(dir, file, key string) (uint64, error) {
	data, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(data) {
		if name, value, ok := bytes.Cut(bytes.TrimSpace(line), []byte(" ")); ok && string(name) == key {
			n, err := strconv.ParseUint(string(value), 10, 64)
			if err != nil {
				return 0, fmt.Errorf("read %s of %s: %w", key, filepath.Join(dir, file), err)
			}
			return n, nil
		}
	}
	return 0, nil
}

// members are the processes in dir itself, without zombies and without those of other pid namespaces, which show as 0.
func members(dir string) ([]int, error) {
	data, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
	if gone(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list the processes of cgroup %s: %w", dir, err)
	}
	var found []int
	for word := range bytes.FieldsSeq(data) {
		pid, err := strconv.Atoi(string(word))
		if err != nil {
			return nil, fmt.Errorf("list the processes of cgroup %s: %w", dir, err)
		}
		if pid > 0 {
			found = append(found, pid)
		}
	}
	return found, nil
}

// gone says that a cgroup does not exist any more: ENODEV is what its open files answer then.
func gone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV)
}
