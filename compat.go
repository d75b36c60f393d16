package websocket

// Names that exist so that programs written for gorilla/websocket compile.

// A BufferPool is what WriteBufferPool takes. sync.Pool is one.
type BufferPool interface {
	Get() any
	Put(any)
}
