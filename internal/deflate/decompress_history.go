package deflate

// A history is a ring of the last octets. It grows as they come, until it is as
// large as the window.
type history struct {
	buf  []byte
	next int // where the next octet goes, the place of the oldest once buf is full
}

// add appends p to what is remembered of it within the window.
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

// reserve makes room for n octets: twice what there was, never more than the
// window, in an array of just that size.
func (h *history) reserve(n, window int) {
	if n > cap(h.buf) {
		size := min(max(n, 2*cap(h.buf), 256), window)
		h.buf = append(make([]byte, 0, size), h.buf...)
	}
}

// at returns the octets that begin dist before the end, up to where the ring's
// array ends.
func (h *history) at(dist int) []byte {
	i := h.next - dist
	if i < 0 {
		return h.buf[i+len(h.buf):]
	}
	return h.buf[i:h.next]
}

// copyWhole fills p with the octets that begin dist before the end, if they are
// remembered, all of them, and in one piece.
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
