package websocket

import (
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestListElements(t *testing.T) {
	for _, tt := range []struct {
		name   string
		fields []string
		want   []string
	}{
		{"no field", nil, nil},
		{"an empty field", []string{""}, nil},
		{"one", []string{"websocket"}, []string{"websocket"}},
		{"several", []string{"keep-alive, Upgrade"}, []string{"keep-alive", "Upgrade"}},
		{"without white space", []string{"a,b,c"}, []string{"a", "b", "c"}},
		{"with tabs", []string{"\ta\t,\t b \t"}, []string{"a", "b"}},
		{"in repeated fields", []string{"chat", "superchat, soap"}, []string{"chat", "superchat", "soap"}},
		// "A recipient MUST parse and ignore a reasonable number of empty list
		// elements" (RFC 9110 section 5.6.1.2).
		{"with empty elements", []string{",a, ,,\t,b,", "", ","}, []string{"a", "b"}},
		{"repeated", []string{"a, a", "a"}, []string{"a", "a", "a"}},
		{"with spaces inside", []string{"a b, c"}, []string{"a b", "c"}},
		// White space is spaces and tabs, not Unicode's other space characters.
		{"with other white space", []string{"\va, \u00a0b"}, []string{"\va", "\u00a0b"}},
	} {
		if got := slices.Collect(listElements(tt.fields)); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q has the elements %q, want %q", tt.name, tt.fields, got, tt.want)
		}
	}
}

func TestListElementsStops(t *testing.T) {
	for element := range listElements([]string{"a, b", "c"}) {
		if element != "a" {
			t.Errorf("went on to %q after break", element)
		}
		break
	}
}

func TestHasToken(t *testing.T) {
	for _, tt := range []struct {
		fields []string
		token  string
		want   bool
	}{
		{nil, "upgrade", false},
		{[]string{""}, "upgrade", false},
		{[]string{"Upgrade"}, "upgrade", true},
		{[]string{"UPGRADE"}, "upgrade", true},
		{[]string{"keep-alive, Upgrade"}, "upgrade", true},
		{[]string{"keep-alive,upgrade,x"}, "upgrade", true},
		{[]string{"keep-alive", "\tUpgrade "}, "upgrade", true},
		{[]string{"keep-alive,,", ", Upgrade"}, "upgrade", true},
		{[]string{"Upgrade-Insecure"}, "upgrade", false},
		{[]string{"no-upgrade"}, "upgrade", false},
		{[]string{"up", "grade"}, "upgrade", false},
		{[]string{"up, grade"}, "upgrade", false},
		{[]string{"upgrade x"}, "upgrade", false},
		{[]string{"upgrade;q=1"}, "upgrade", false},
		{[]string{"upgrade\u00a0"}, "upgrade", false},
		// "An ASCII case-insensitive match" (RFC 6455 section 4.2.1). In Unicode ſ equals s, and the
		// sign for Kelvin equals k.
		{[]string{"web\u017focket"}, "websocket", false},
		{[]string{"websoc\u212aet"}, "websocket", false},
	} {
		if got := hasToken(tt.fields, tt.token); got != tt.want {
			t.Errorf("hasToken(%q, %q) = %v, want %v", tt.fields, tt.token, got, tt.want)
		}
	}
}

// RFC 9110 section 5.6.2, byte by byte.
func TestIsToken(t *testing.T) {
	const allowed = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	if isToken("") {
		t.Error("the empty string is called a token")
	}
	for c := range 256 {
		b := byte(c)
		want := strings.IndexByte(allowed, b) >= 0
		for _, s := range []string{string([]byte{b}), string([]byte{'x', b}), string([]byte{b, 'x'})} {
			if isToken(s) != want {
				t.Errorf("isToken(%q) = %v, want %v", s, !want, want)
			}
		}
	}
}

// RFC 9110 section 5.5: visible characters, space, tab, and bytes beyond ASCII.
func TestIsFieldValue(t *testing.T) {
	if !isFieldValue("") {
		t.Error("the empty value is refused")
	}
	for c := range 256 {
		s := string([]byte{'x', byte(c), 'y'})
		if want := c == '\t' || c >= ' ' && c != 0x7f; isFieldValue(s) != want {
			t.Errorf("isFieldValue(%q) = %v, want %v", s, !want, want)
		}
	}
}

func TestCheckExtraHeader(t *testing.T) {
	for _, tt := range []struct {
		name   string
		header http.Header
		want   string // in the error; "" for none
	}{
		{"none", nil, ""},
		{"cookies", http.Header{"Set-Cookie": {"a=1; Path=/", "b=\"2\""}}, ""},
		{"tab", http.Header{"X-Tab": {"a\tb"}}, ""},
		{"bytes beyond ASCII", http.Header{"X-Name": {"Jürgen"}}, ""},
		{"empty value", http.Header{"X-Empty": {""}}, ""},
		{"no value", http.Header{"X-None": nil}, ""},
		{"CR and LF", http.Header{"X-Id": {"1\r\nSet-Cookie: admin=1"}}, "X-Id holds a control character"},
		{"LF", http.Header{"X-Id": {"1\nSet-Cookie: admin=1"}}, "X-Id holds a control character"},
		{"CR", http.Header{"X-Id": {"1\rSet-Cookie: admin=1"}}, "X-Id holds a control character"},
		{"NUL", http.Header{"X-Id": {"\x00"}}, "X-Id holds a control character"},
		{"DEL", http.Header{"X-Id": {"\x7f"}}, "X-Id holds a control character"},
		{"in the second value", http.Header{"X-Id": {"1", "2\n"}}, "X-Id holds a control character"},
		{"CR and LF in a name", http.Header{"X-Id: 1\r\nX-More": {"2"}}, "is not a header field name"},
		{"space in a name", http.Header{"X Id": {"1"}}, "is not a header field name"},
		{"colon in a name", http.Header{"X-Id:": {"1"}}, "is not a header field name"},
		{"empty name", http.Header{"": {"1"}}, "is not a header field name"},
		{"bad name without values", http.Header{"X\n": nil}, "is not a header field name"},
		{"reserved", http.Header{"Upgrade": {"h2c"}}, "Upgrade is written by the handshake itself"},
		{"reserved, in another case", http.Header{"sec-websocket-ACCEPT": {"x"}}, "Sec-WebSocket-Accept is written"},
		{"begins as a reserved one", http.Header{"Upgrade-Insecure-Requests": {"1"}}, ""},
	} {
		err := checkExtraHeader(tt.header, "Upgrade", "Sec-WebSocket-Accept")
		if err == nil && tt.want != "" || err != nil && (tt.want == "" || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: error %v, want one with %q", tt.name, err, tt.want)
		}
	}
}

func TestAppendField(t *testing.T) {
	got := appendField([]byte("before\r\n"), "Set-Cookie", []string{"a=1", "", "b=2"})
	if want := "before\r\nSet-Cookie: a=1\r\nSet-Cookie: \r\nSet-Cookie: b=2\r\n"; string(got) != want {
		t.Errorf("wrote %q, want %q", got, want)
	}
	if got := appendField(nil, "X-None", nil); len(got) > 0 {
		t.Errorf("a field without values is written as %q", got)
	}
}

// tokenInList is hasToken written another way: byte by byte, without splitting.
func tokenInList(list, token string) bool {
	const (
		leading = iota // white space before an element
		inside
		trailing // white space after one, or in it
	)
	state, element, space := leading, "", ""
	for _, c := range []byte(list + ",") {
		switch {
		case c == ',':
			if element != "" && asciiLower(element) == asciiLower(token) {
				return true
			}
			state, element, space = leading, "", ""
		case c == ' ' || c == '\t':
			if state != leading {
				state, space = trailing, space+string([]byte{c})
			}
		default:
			state, element, space = inside, element+space+string([]byte{c}), ""
		}
	}
	return false
}

func asciiLower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c - 'A' + 'a'
		}
	}
	return string(b)
}

func FuzzHeaderTokens(f *testing.F) {
	f.Add("keep-alive, Upgrade", "", "upgrade")
	f.Add(" ,\t", "x,UPGRADE\t,", "upgrade")
	f.Add("upgrade x", "up\tgrade", "upgrade")
	f.Add("web\u017focket", "", "websocket") // ſ, which Unicode folds to s
	f.Add("\u212aeep-alive", "", "keep-alive")
	f.Fuzz(func(t *testing.T, field1, field2, token string) {
		if !isToken(token) {
			return // hasToken is called with tokens only
		}
		want := tokenInList(field1, token) || tokenInList(field2, token)
		if got := hasToken([]string{field1, field2}, token); got != want {
			t.Errorf("hasToken(%q, %q in either) = %v, want %v", token, []string{field1, field2}, got, want)
		}
		// A list that goes on in another field is one list (RFC 9110 section 5.3).
		if got := hasToken([]string{field1 + ", " + field2}, token); got != want {
			t.Errorf("hasToken(%q, %q in one field) = %v, want %v", token, field1+", "+field2, got, want)
		}
	})
}

func TestParseExtensions(t *testing.T) {
	flag := func(name string) extensionParam { return extensionParam{name: name} }
	set := func(name, value string) extensionParam { return extensionParam{name, value, true} }
	for _, tt := range []struct {
		fields []string
		want   []extension
		ok     bool
	}{
		{nil, nil, true},
		{[]string{""}, nil, true},
		{[]string{" , ,\t"}, nil, true},
		{[]string{"foo"}, []extension{{"foo", nil}}, true},
		{[]string{"foo, bar", "baz"}, []extension{{"foo", nil}, {"bar", nil}, {"baz", nil}}, true},
		// RFC 6455 section 9.1's examples
		{[]string{"deflate-stream"}, []extension{{"deflate-stream", nil}}, true},
		{[]string{"mux; max-channels=4; flow-control, deflate-stream"},
			[]extension{{"mux", []extensionParam{set("max-channels", "4"), flag("flow-control")}}, {"deflate-stream", nil}}, true},
		{[]string{"private-extension"}, []extension{{"private-extension", nil}}, true},
		{[]string{`a;b="c"`}, []extension{{"a", []extensionParam{set("b", "c")}}}, true},
		{[]string{`a ; b = "\c\d" ,`}, []extension{{"a", []extensionParam{set("b", "cd")}}}, true},
		{[]string{`a; b=""`}, nil, false},    // an unquoted value must be a token
		{[]string{`a; b="c d"`}, nil, false}, //
		{[]string{`a; b="c`}, nil, false},
		{[]string{`a; b="c\`}, nil, false},
		{[]string{"a; b="}, nil, false},
		{[]string{"a;;b"}, nil, false},
		{[]string{"a;"}, nil, false},
		{[]string{";a"}, nil, false},
		{[]string{"a b"}, nil, false},
		{[]string{"a=b"}, nil, false},
		{[]string{`a; b="c" d`}, nil, false},
		{[]string{"good", "a b"}, nil, false},
	} {
		got, ok := parseExtensions(tt.fields)
		if ok != tt.ok || ok && !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%q: %v, %v; want %v, %v", tt.fields, got, ok, tt.want, tt.ok)
		}
	}
}

// An accepted list can be written down again, and then means the same.
func FuzzExtensions(f *testing.F) {
	f.Add("permessage-deflate; client_max_window_bits", `x; y="\1"`)
	f.Add(" ,a;b=c", "")
	f.Fuzz(func(t *testing.T, a, b string) {
		list, ok := parseExtensions([]string{a, b})
		if !ok {
			return
		}
		var again []string
		for _, e := range list {
			s := e.name
			for _, p := range e.params {
				s += ";" + p.name
				if p.hasValue {
					s += "=" + p.value
				}
			}
			again = append(again, s)
		}
		got, ok := parseExtensions(again)
		if !ok || len(got) != len(list) || len(list) > 0 && !reflect.DeepEqual(got, list) {
			t.Errorf("%q, %q: %v, written down %q: %v, %v", a, b, list, again, got, ok)
		}
	})
}
