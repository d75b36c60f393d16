package websocket

import (
	"io"
	"strings"
	"testing"
)

func TestJoinMessages(t *testing.T) {
	server, client := pipePair(t)
	go func() {
		for _, s := range []string{"one", "", "three"} {
			client.WriteMessage(TextMessage, []byte(s))
		}
		client.WriteMessage(CloseMessage, FormatCloseMessage(CloseNormalClosure, ""))
		client.ReadMessage()
	}()
	var b strings.Builder
	_, err := io.Copy(&b, JoinMessages(server, "\n"))
	if b.String() != "one\n\nthree\n" || !IsCloseError(err, CloseNormalClosure) {
		t.Errorf("%q, %v", b.String(), err)
	}
}
