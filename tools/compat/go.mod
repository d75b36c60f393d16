module github.com/plainsocket/websocket/tools/compat

go 1.26.0

require (
	github.com/gorilla/websocket v1.5.3
	golang.org/x/tools v0.51.0
)

require (
	golang.org/x/mod v0.41.0 // indirect
	golang.org/x/sync v0.23.0 // indirect
)
