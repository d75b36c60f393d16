//go:build unix && !linux

package websocket

func tellDrained(int) bool { return false }

// receive reads. That there is nothing more, the next read has to say.
func receive(fd int, p []byte, _ *readHalf) (n int, drained bool, err error) {
	n, err = readSocket(fd, p)
	return n, false, err
}
