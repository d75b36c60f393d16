module github.com/plainsocket/websocket/gorilla

go 1.26

require github.com/plainsocket/websocket v0.0.0

replace github.com/plainsocket/websocket => ../
