package websocket

import (
	"reflect"
	"testing"
)

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

// Whatever is accepted can be written down again and means the same.
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
