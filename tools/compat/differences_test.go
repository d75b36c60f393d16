package compat

// differences are the intended differences between gorilla/websocket and this library. Each must
// happen. Any other fails TestPrograms.
var differences = []difference{
	// Errors can be inspected in more ways.
	{gorilla: `"(read|write|writev) tcp .*i/o timeout", Timeout`, ours: `"(read|write|writev) tcp .*i/o timeout", Timeout, is os.ErrDeadlineExceeded`,
		why: "a deadline can be told from other timeouts"},
	{gorilla: `"websocket: write timeout", Timeout`, ours: `"websocket: write: .*i/o timeout", Timeout, is os.ErrDeadlineExceeded`,
		why: "the same for a wait of the library itself"},
	{program: "IsCloseError", what: `wrapped, .*`, gorilla: "false", ours: "true", why: "errors may be wrapped"},

	// Reads go on after a deadline, writes if nothing of the frame was sent.
	{program: "SetReadDeadline", what: "read then", gorilla: ".*Timeout", ours: "<nil>", why: "a read that timed out lost nothing"},
	{program: "SetReadDeadline", what: "message then", gorilla: "", ours: "late", why: "a read that timed out lost nothing"},
	{program: "SetWriteDeadline, in the past", what: "write then", gorilla: ".*Timeout", ours: "<nil>", why: "nothing was written"},
	{program: "SetWriteDeadline, in the past", what: "received", gorilla: "", ours: "b", why: "nothing was written"},
	{program: "deadlines on a closed connection", what: "SetWriteDeadline", gorilla: "<nil>", ours: ".*is net.ErrClosed",
		why: "deadlines hold for writes that are waiting, too"},
	{program: "repeated reads after a failure", what: "panic", gorilla: "repeated read on failed websocket connection", ours: `\(nothing\)`,
		why: "errors are sticky, and nothing panics"},
	{program: "repeated reads after a failure", what: "the 2000th", gorilla: `\(nothing\)`, ours: ".*CloseError 1006.*", why: "errors are sticky, and nothing panics"},

	// The end of a connection.
	{program: "Close", what: "read|NextReader", gorilla: `".*use of closed network connection", is net.ErrClosed`,
		ours: `"websocket: read: use of closed network connection", is net.ErrClosed`, why: "no message is delivered after Close, even if one has arrived"},
	{program: "the peer resets", what: "read", gorilla: `".*connection reset by peer"`, ours: `"websocket: close 1006 .*connection reset by peer"`,
		why: "an end without a close frame is code 1006 (section 7.1.5)"},

	// Messages by several goroutines at once.
	{program: "NextWriter, not closed before the next message", ours: `\(nothing\)|true|.*is net.ErrClosed|`,
		why: "any number of goroutines may write: the open message may be another's, and is not cut in two"},

	// The read limit.
	{program: ".*[lL]imit.*", gorilla: `"websocket: read limit exceeded", == ErrReadLimit`,
		ours: `"websocket: read limit exceeded \(closed with 1009 \(message too big\)\)", == ErrReadLimit`, why: "a ProtocolError says the code that was sent"},
	{program: "SetReadLimit", what: ".*, the peer is sent", gorilla: `0x88 "\\x03\\xf1"`, ours: `0x88 "\\x03\\xf1message exceeds the limit of 10 bytes"`,
		why: "the close frame names the limit"},
	{program: "SetReadLimit, not called", what: "33 MiB", gorilla: "<nil>", ours: ".*== ErrReadLimit", why: "on by default"},
	{program: "compression, and a read limit", what: "above.*", gorilla: "<nil>", ours: ".*== ErrReadLimit", why: "the limit counts the bytes that the application receives"},
	{program: "SetReadLimit|a transport that ends early", gorilla: `.*"[a-z].*`, ours: `""`, why: "no data with an error: there is no half message"},
	{program: "a transport that ends early", what: ".*: type", gorilla: "1", ours: "-1", why: "no data with an error: there is no half message"},

	// Messages that are open.
	{program: "NextWriter", what: "Close after Close", gorilla: `"websocket: write closed"`, ours: "<nil>", why: "a second Close is harmless, as in a defer"},
	{program: "NextWriter", what: "Write after Close", gorilla: `"websocket: write closed"`, ours: `"websocket: write to a message that was closed"`,
		why: "another text"},
	{program: "NextWriter, after the close message", what: "Write", gorilla: `"websocket: write closed"`, ours: "<nil>", why: "it is noticed when something is sent"},
	{program: "NextWriter, after the close message", what: "Close", gorilla: `"websocket: write closed"`, ours: `.*== ErrCloseSent`, why: "it names the event"},
	{program: "NextWriter, and other messages of the same goroutine before Close", what: `ping( \(\d\))?`, gorilla: `\(nothing\)`, ours: `\d`,
		why: "control messages slip between the fragments of an open one: gorilla loses those that are sent by other means than WriteControl"},
	{program: "NextWriter, and other messages of the same goroutine before Close", what: "received", gorilla: "open<nil>", ours: "open, and whole<nil>",
		why: "control messages do not end an open one"},
	{program: "WriteJSON of what has no JSON", what: "received", gorilla: `"" <nil>`, ours: `"\\"next\\"\\n" <nil>`, why: "nothing is sent then, not even an empty message"},

	// Arguments that are wrong: another text.
	{gorilla: `"websocket: bad write message type"`, ours: `"websocket: bad message type -?\d+, want .*"`, why: "it says which"},
	{gorilla: `"websocket: invalid control frame"`, ours: `"websocket: a control message has at most 125 bytes, not 126"`, why: "it says why"},
	{gorilla: `"websocket: invalid compression level"`, ours: `"websocket: invalid compression level, want -2 to 9"`, why: "it says which are valid"},

	// Closing.
	{program: "CloseError.Error", what: "101[234].*", gorilla: "websocket: close 101[234](: why)?",
		ours: `websocket: close 101[234] \((service restart|try again later|bad gateway)\)(: why)?`, why: "they have names, too"},
	{program: "every close code sent", what: "101[23] received", ours: `"websocket: close 101[23] \((service restart|try again later)\): why", CloseError .*`,
		why: "they have names, too"},
	{program: "FormatCloseMessage", what: "1006|1015", gorilla: `"\\x03.*why"`, ours: `""`, why: "never to be sent, as 1005"},
	{program: "every close code sent", what: "(1006|1015) received", gorilla: ".*bad close code.*", ours: ".*CloseError 1005.*", why: "never to be sent, as 1005"},
	{program: "every close code sent", what: `\d+ sent`, gorilla: "<nil>", ours: `"websocket: close code \d+ must not be sent: .*"`, why: "the peer would only fail the connection"},
	{program: "every close code sent", what: `\d+ received`, gorilla: ".*bad close code.*", ours: `\(nothing\)`, why: "it was not sent"},
	{program: "every close code sent", what: "1014 received", gorilla: ".*bad close code.*", ours: ".*CloseError 1014.*", why: "registered since"},
	{program: "SetCloseHandler", what: "answer, where the handler sends none", gorilla: ".*Timeout", ours: ".*CloseError 4000.*", why: "a close frame MUST be answered"},
	{program: "Close", what: "second", gorilla: ".*is net.ErrClosed", ours: "<nil>", why: "a second Close is harmless, as in a defer"},
	{program: "Close", gorilla: `"write tcp ADDR->ADDR: use of closed network connection", is net.ErrClosed`,
		ours: `"websocket: write: use of closed network connection", is net.ErrClosed`, why: "it is known without asking the transport"},

	// Peers that break the protocol.
	{program: "a peer that breaks the protocol", what: ".*: (next )?read", gorilla: `"websocket: [^"]+"`, ours: `"websocket: .* \(closed with 10\d\d .*"`,
		why: "other texts"},
	{program: "a peer that breaks the protocol", what: ".*: answer", gorilla: `0x88 .*\\x03\\xea.*`, ours: `0x88 .*\\x03\\xe[af].*`, why: "other texts"},
	{program: "a peer that breaks the protocol", what: "a message within a message: message", gorilla: `"a"`, ours: `""`, why: "no data with an error"},
	{program: "a peer that breaks the protocol", what: "(a length|text that|a close frame of one byte).*", ours: `.*\(closed with 100[27] .*|0x88 .*\\x03\\xe[af].*|""|.*ErrCloseSent`,
		why: "MUST be refused"},
	{program: "a peer that breaks the protocol", what: "a close frame with code 1014.*", gorilla: ".*bad close code 1014.*", ours: `.*CloseError 1014 ""|0x88 "\\x03\\xf6"`,
		why: "registered since"},

	// The server's side of the opening handshake.
	{program: "Upgrade refuses.*|the package's Upgrade", what: ".*: (error|Error's reason)", gorilla: `"websocket: .*", HandshakeError`, ours: `"websocket: .*", HandshakeError`,
		why: "other texts"},
	{program: "Upgrade refuses", what: ".*: body", why: "the client is told, too"},
	{program: "Upgrade refuses.*", what: "(no|another|neither|version).*: (status|Error's status)", gorilla: "400", ours: "426",
		why: "an upgrade to version 13 is missing"},
	{program: "Upgrade refuses", what: ".*: version", gorilla: `\[13\]`, ours: `\[\]`, why: "another version would not help"},
	{program: "a server that refuses", what: "Upgrade's: (body|status)", ours: "426 Upgrade Required|.*this is .*", why: "as above, seen by a client"},
	{program: "Upgrade accepts", what: "HTTP/1.0.*", ours: "400|.*HandshakeError|.*", why: "MUST be HTTP/1.1 or later"},
	{program: "Upgrade accepts", what: "two versions.*", ours: "426|.*HandshakeError|.*", why: "a client sends one version"},
	{program: "CheckOrigin", what: "http://localhost:80", gorilla: "403", ours: "101", why: "80 is http's own port: the same origin"},
	{program: "the response's header", what: "(line breaks|a bad name|an accept): .*", ours: `500|.*HandshakeError|\(nothing\)`, why: "a header that says something else than meant"},
	{program: "the response's header", what: "an extension: error", gorilla: ".*HandshakeError", ours: ".*HandshakeError", why: "another text"},
	{program: "subprotocols", what: "by the header, (not offered|nothing wanted): .*", gorilla: `c|\[c\]`, ours: `|\[\]`, why: "a client MUST fail then"},
	{program: "a message behind the request", ours: "<nil>|glued<nil>", why: "it belongs to the connection"},
	{program: "writers that cannot be hijacked", what: "unwrapped: .*", ours: "<nil>|101", why: "by http.ResponseController"},
	{program: "writers that cannot be hijacked", what: ".*: error", gorilla: ".*HandshakeError", ours: ".*main.failingHijacker.*|.*struct .*", why: "it names the writer"},
	{program: "buffers", what: "the pool is used", gorilla: "true", ours: "false", why: "connections share pooled buffers"},
	{program: "IsWebSocketUpgrade", what: ",,Upgrade; .*", gorilla: "false", ours: "true", why: "lists may have empty elements"},
	{program: "Subprotocols", why: "lists may have empty elements, and be divided among fields"},

	// The client's side.
	{program: "a server that agrees wrongly", what: "(no|another) .*: error", gorilla: ".*== ErrBadHandshake", ours: `"websocket: bad handshake: .*"`,
		why: "it says which rule, and satisfies errors.Is"},
	{program: "a server that agrees wrongly", what: ".* nobody offered: .*", ours: `"websocket: bad handshake: .*"|\(nothing\)`, why: "a client MUST fail then"},
	{program: "a server that speaks no HTTP", what: ".*: error", ours: `"websocket: opening handshake: reading the response: .*"`, why: "it says when"},
	{program: "fields that may not be set", gorilla: `"websocket: duplicate header not allowed: .*"`, ours: `"websocket: the header field .* is written by the handshake itself: .*"`,
		why: "another text"},
	{program: "fields that may not be set", gorilla: "<nil>", ours: `"websocket: the header field .* is written by the handshake itself: .*"`, why: "there is no body, and no answer yet"},
	{program: "URLs", what: "http(: .*)?|a user(: .*)?", gorilla: `"malformed ws or wss URL"|true|\(nothing\)`, ours: `<nil>|/ .*<nil>|\(nothing\)`, why: "their meaning is clear"},
	{program: "NewClient", what: "http://.*", gorilla: `"malformed ws or wss URL"|false|\(nothing\)`, ours: "<nil>|true|server.*<nil>", why: "http means ws"},
	{program: "URLs", what: "a fragment(: .*)?", gorilla: `<nil>|/ <nil>|\(nothing\)`, ours: `.*fragments are not allowed"|true|\(nothing\)`, why: "MUST NOT be used"},
	{program: "URLs", gorilla: `".*"(, is ECONNREFUSED)?`, ours: `"websocket: malformed URL.*"`, why: "it names the fault"},
	{program: "HandshakeTimeout", what: "a context that is cancelled.*", gorilla: `\(nothing\)|true`, ours: ".*is context.Canceled|false", why: "gorilla waits for the server"},
	{program: "HandshakeTimeout", gorilla: `".*", .*`, ours: `"websocket: opening handshake: .*", .*is context.*`, why: "it is the context's error, too"},
	{program: "Proxy", what: ".*: request", why: "no User-Agent: the request is none of the program's"},
	{program: "Proxy", gorilla: `".*".*`, ours: `"websocket: (choosing a )?proxy.*"`, why: "it says that it was the proxy"},
	{program: "a transport without deadlines, dialed with a timeout", gorilla: `"deadlines are not supported"`, ours: "<nil>", why: "the timeout closes the transport"},
	{program: "subprotocols that are offered", what: "(one twice|an empty one|with a (space|comma)): .*", ours: `"websocket: subprotocol .*"|\(nothing\)`, why: "MUST be unique, and without separators"},
	{program: "transports that count", what: `of a \*net.TCPConn, bytes written by the server`, gorilla: "false", ours: "true",
		why: "gorilla's writes of two slices go around Write"},
	{program: "a transport without deadlines", what: "SetWriteDeadline", gorilla: "<nil>", ours: `"deadlines are not supported"`, why: "it is set at once"},
}
