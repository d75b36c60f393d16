package deflate

// A history is a ring of the last bytes. It grows as they come, until it is as large as the
// window.
type history struct {
	buf  []byte
	next int // the place of the next byte, and of the oldest one if buf is full
}

// add adds p. Bytes that leave the window are forgotten.
func (h *history) add(p []byte, window int) {
	if len(p) >= window {
		p = p[len(p)-window:]
		h.buf, h.next = h.buf[:0], 0
	}
	if free := window - len(h.buf); free > 0 {
		n := min(free, len(p))
		h.reserve(len(h.buf)+n, window)
		h.buf = append(h.buf, p[:n]...)
		h.next = len(h.buf) & (window - 1)
		p = p[n:]
	}
	for len(p) > 0 {
		n := copy(h.buf[h.next:], p)
		h.next = (h.next + n) & (window - 1)
		p = p[n:]
	}
}

// reserve makes room for n bytes. It doubles the array, up to the window's size and not a byte
// more.
func (h *history) reserve(n, window int) {
	if n > cap(h.buf) {
		size := min(max(n, 2*cap(h.buf), 256), window)
		h.buf = append(make([]byte, 0, size), h.buf...)
	}
}

// at returns the bytes that begin dist before the end. They stop at the end, or at the end of the
// array.
func (h *history) at(dist int) []byte {
	i := h.next - dist
	if i < 0 {
		return h.buf[i+len(h.buf):]
	}
	return h.buf[i:h.next]
}

// copyWhole fills p with the bytes that begin dist before the end. If the history does not have
// them all in one piece, it does nothing and reports false.
func (h *history) copyWhole(p []byte, dist int) bool {
	i := h.next - dist
	if i < 0 {
		i += len(h.buf)
	}
	if dist > len(h.buf) || dist < len(p) || i+len(p) > len(h.buf) {
		return false
	}
	copy(p, h.buf[i:i+len(p)])
	return true
}
