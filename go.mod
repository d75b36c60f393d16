module github.com/plainsocket/websocket

go 1.26
