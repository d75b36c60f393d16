//go:build unix

package drive

import "syscall"

// Pause stops the process in the middle of whatever it does, and Continue lets it go on. To the
// others it looks like a broken network.
func (n *Node) Pause()    { n.cmd.Process.Signal(syscall.SIGSTOP) }
func (n *Node) Continue() { n.cmd.Process.Signal(syscall.SIGCONT) }
