package record

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// Memfd is the record in memory, sealed, for stage 0 to hold while the disk takes no file. The caller closes it.
func (r Record) Memfd() (*os.File, error) {
	b, err := r.encode()
	if err != nil {
		return nil, err
	}
	fd, err := unix.MemfdCreate("run:"+r.Name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, fmt.Errorf("keep the run record of %s in memory: %w", r.Name, err)
	}
	f := os.NewFile(uintptr(fd), "run:"+r.Name)
	if _, err := f.Write(b); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("keep the run record of %s in memory: %w", r.Name, err)
	}
	_, err = unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, unix.F_SEAL_SEAL|unix.F_SEAL_WRITE|unix.F_SEAL_GROW|unix.F_SEAL_SHRINK)
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("seal the run record of %s: %w", r.Name, err)
	}
	return f, nil
}

// FromMemfd reads what Memfd wrote, any number of times. It does not close f.
func FromMemfd(f *os.File) (Record, error) {
	b, err := io.ReadAll(io.NewSectionReader(f, 0, maxSize))
	if err != nil {
		return Record{}, fmt.Errorf("read the run record in %s: %w", f.Name(), err)
	}
	r, err := decode(b)
	if err != nil {
		return Record{}, fmt.Errorf("read the run record in %s: %w", f.Name(), err)
	}
	return r, nil
}
