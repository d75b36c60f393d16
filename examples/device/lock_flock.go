//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package main

import (
	"fmt"
	"os"
	"syscall"
)

// lock keeps other programs from locking f, until it is closed. The death of this program closes it
// too. A lock file would outlive the program.
func lock(f *os.File) error {
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return fmt.Errorf("%s is in use by another program (%w)", f.Name(), err)
	}
	return nil
}
