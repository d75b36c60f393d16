//go:build !linux

package main

// Measuring needs Linux's epoll, its CPU clock of a process and its /proc. The
// table of facts is made everywhere.

import "errors"

var errNotLinux = errors.New("measuring needs Linux (go run . facts works here)")

func measureAll([]string) error { return errNotLinux }

func measureOthers([]string) error { return errNotLinux }

func serveChild([]string) error { return errNotLinux }

func measureHubs([]string) error { return errNotLinux }

func serveHub([]string) error { return errNotLinux }
