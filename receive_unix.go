//go:build unix && !linux

package websocket

func tellEmpty(int) bool { return false }

// receive reads. Whether the socket is empty, the next read has to say.
func (s *handleStep) receive(p []byte) (n int, empty bool, err error) {
	n, err = readSocket(s.fd, p)
	return n, false, err
}
