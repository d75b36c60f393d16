package websocket

import (
	"testing"
	"unsafe"
)

// A connection that waits has a Conn, a stack of 2 KiB, and the state in package net. The garbage
// collector's size classes count: 192 is one, and the next is 208.
func TestConnSize(t *testing.T) {
	if size := unsafe.Sizeof(Conn{}); size > 192 {
		t.Errorf("a Conn has %d bytes", size)
	}
}
