module github.com/plainsocket/websocket/conformance/stream

go 1.26.0

require (
	github.com/hashicorp/yamux v0.1.2
	github.com/plainsocket/websocket v0.0.0
	golang.org/x/crypto v0.59.0
	golang.org/x/net v0.62.0
)

require golang.org/x/sys v0.50.0 // indirect

replace github.com/plainsocket/websocket => ../..
