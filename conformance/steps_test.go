package conformance

// This file parses the small language of the table's columns: steps, bytes and events. Text that it
// cannot read is an error, never skipped.

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

func parseSteps(s string) (steps []step, err error) {
	times := 1
	for word := range strings.FieldsSeq(s) {
		if n, err := strconv.Atoi(word); err == nil { // "1000 x F(...)"
			times = n
			continue
		}
		if word == "x" {
			continue
		}
		next, err := parseStep(word)
		if err != nil {
			return nil, fmt.Errorf("%.60s: %w", word, err)
		}
		next.times, times = times, 1
		steps = append(steps, next)
	}
	return steps, nil
}

// parseStep reads one step, such as F(op=1,fin=1,rsv=0,2a*65536,chop=997).
func parseStep(word string) (s step, err error) {
	verb, args, err := parseCall(word)
	if err != nil {
		return s, err
	}
	s.verb = verb
	var rest []string
	for _, arg := range args {
		key, value, named := strings.Cut(arg, "=")
		switch {
		case arg == "sync":
			s.sync = true
		case !named:
			rest = append(rest, arg)
		default:
			if err := s.set(key, value); err != nil {
				return s, err
			}
		}
	}
	return s, s.setPositional(rest)
}

func (s *step) set(key, value string) error {
	n, err := strconv.Atoi(value)
	if err != nil {
		return err
	}
	switch key {
	case "op":
		s.op = byte(n)
	case "rsv":
		s.rsv = byte(n)
	case "fin":
		s.fin = n == 1
	case "chop":
		s.chop = n
	case "frag":
		s.frag = n
	case "len":
		s.length = n
	default:
		return fmt.Errorf("unknown field %q", key)
	}
	return nil
}

// setPositional takes the arguments that have no name. The verb gives them their meaning.
func (s *step) setPositional(args []string) (err error) {
	switch {
	case s.verb == "H" && len(args) == 0:
	case (s.verb == "F" || s.verb == "D") && len(args) == 1:
		s.data, err = parseData(args[0])
	case s.verb == "M" && len(args) == 2:
		s.op = map[string]byte{"text": 1, "bin": 2}[args[0]]
		s.data, err = parseData(args[1])
	case s.verb == "C" && len(args) > 0:
		s.data, err = parseClose(args)
	case slices.Contains([]string{"wait", "kill", "close"}, s.verb) && len(args) > 0:
		s.tag = strings.Join(args[1:], "")
		s.wait, err = time.ParseDuration(args[0] + "s")
	default:
		err = fmt.Errorf("%s with %d arguments", s.verb, len(args))
	}
	return err
}

// parseClose makes the payload of a close frame from its code and reason. Either may be missing.
func parseClose(args []string) (patternBytes, error) {
	var payload []byte
	if args[0] != "-" {
		code, err := strconv.ParseUint(args[0], 10, 16)
		if err != nil {
			return patternBytes{}, err
		}
		payload = binary.BigEndian.AppendUint16(nil, uint16(code))
	}
	if len(args) > 1 {
		reason, err := parseData(args[1])
		if err != nil {
			return patternBytes{}, err
		}
		payload = append(payload, reason.bytes()...)
	}
	return literal(payload), nil
}

// parseData reads DATA: "-", hex, HH*N or rep(HEX,N).
func parseData(s string) (o patternBytes, err error) {
	if s == "-" {
		return patternBytes{}, nil
	}
	pattern, count, repeated := strings.Cut(s, "*")
	if verb, args, err := parseCall(s); err == nil && verb == "rep" && len(args) == 2 {
		pattern, count, repeated = args[0], args[1], true
	}
	if o.pattern, err = hex.DecodeString(pattern); err != nil {
		return o, err
	}
	o.n = len(o.pattern)
	if repeated {
		o.n, err = strconv.Atoi(count)
	}
	return o, err
}

// parseCall takes verb(arg,arg) apart. Arguments may be calls themselves.
func parseCall(s string) (verb string, args []string, err error) {
	verb, inner, ok := strings.Cut(s, "(")
	inner, closed := strings.CutSuffix(inner, ")")
	if !ok || !closed {
		return "", nil, errors.New("not a call")
	}
	depth, from := 0, 0
	for i := range len(inner) {
		switch inner[i] {
		case '(':
			depth++
		case ')':
			depth--
		case ',':
			if depth == 0 {
				args = append(args, inner[from:i])
				from = i + 1
			}
		}
	}
	return verb, append(args, inner[from:]), nil
}

// parseEvents reads a list of events. Section 9 states only the number and the length of the
// messages that come back, because the suite looks at no more. Here every message must be equal to
// the one that was sent.
func parseEvents(s string, steps []step) ([]event, error) {
	events := []event{} // not nil: "none" is a list too
	var kind string
	var n int
	if _, err := fmt.Sscanf(s, "one %s message of %d bytes", &kind, &n); err == nil {
		events = sentMessages(steps)
		if len(events) != 1 || events[0].data.n != n || !strings.HasPrefix(kind, events[0].kind) {
			return nil, fmt.Errorf("%q does not describe the steps", s)
		}
		return events, nil
	}
	if _, err := fmt.Sscanf(s, "%d echoes of the same type and length", &n); err == nil {
		if events = sentMessages(steps); len(events) != n {
			return nil, fmt.Errorf("%q does not describe the steps", s)
		}
		return events, nil
	}
	for word := range strings.FieldsSeq(strings.TrimPrefix(s, "none")) {
		e, err := parseEvent(word)
		if err != nil {
			return nil, fmt.Errorf("event %.40q: %w", word, err)
		}
		events = append(events, e)
	}
	return events, nil
}

func parseEvent(word string) (e event, err error) {
	kind, args, err := parseCall(word)
	if err != nil {
		return e, err
	}
	e.kind = kind
	switch kind {
	case "wait":
		e.data = literal(args[0])
	case "text", "bin", "pong":
		e.data, err = parseData(strings.Join(args, ","))
	default:
		err = errors.New("unknown kind")
	}
	return e, err
}

// sentMessages lists the whole messages that the steps send.
func sentMessages(steps []step) (events []event) {
	kinds := map[byte]string{1: "text", 2: "bin"}
	for _, s := range steps {
		if s.verb != "F" && s.verb != "M" {
			continue
		}
		for range s.times {
			events = append(events, event{kinds[s.op], s.data})
		}
	}
	return events
}

// TestConformanceTableEqual: comparing by pieces must give the same result as comparing in one
// piece.
func TestConformanceTableEqual(t *testing.T) {
	for _, pattern := range []string{"a", "ab", "abcdefghij", strings.Repeat("0123456789", 1000)} {
		for _, n := range []int{1, 2, 9, 4095, 4096, 4097, 8192, 10_000, 100_001} {
			o := patternBytes{[]byte(pattern), n}
			spelled := []byte(strings.Repeat(pattern, n/len(pattern)+1)[:n])
			if !o.equal(literal(spelled)) || !literal(spelled).equal(o) {
				t.Errorf("%v is not equal to itself", o)
			}
			for _, i := range []int{0, n / 2, n - 1} {
				spelled[i]++
				if o.equal(literal(spelled)) || literal(spelled).equal(o) {
					t.Errorf("%v: a difference at %d is not found", o, i)
				}
				spelled[i]--
			}
			if o.equal(literal(spelled[1:])) {
				t.Errorf("%v: a difference in length is not found", o)
			}
		}
	}
}

// TestConformanceTableLanguage: a slip in the table must not turn a case into another, easier one.
func TestConformanceTableLanguage(t *testing.T) {
	for _, bad := range []string{"F", "F(op=1", "F(op=1,fin=1,rsv=0)", "F(opcode=1,-)", "F(op=x,-)", "F(op=1,2a*)", "F(op=1,2a*x)", "F(op=1,zz)",
		"F(op=1,rep(2a))", "F(op=1,-,-)", "M(-)", "C()", "C(65536)", "C(1000,2)", "wait()", "wait(x)", "kill", "ping(1)"} {
		if s, err := parseSteps(bad); err == nil {
			t.Errorf("step %q is read as %+v", bad, s)
		}
	}
	one := []step{{verb: "F", times: 1, op: opText, data: literal("abc")}}
	for _, bad := range []string{"text", "text(2)", "ping(-)", "one text message of 4 bytes", "one binary message of 3 bytes", "2 echoes of the same type and length"} {
		if e, err := parseEvents(bad, one); err == nil {
			t.Errorf("events %q are read as %v", bad, e)
		}
	}
	for _, good := range []string{"text(616263)", "one text message of 3 bytes", "1 echoes of the same type and length"} {
		if e, err := parseEvents(good, one); err != nil || len(e) != 1 || !e[0].equal(event{"text", literal("abc")}) {
			t.Errorf("events %q are read as %v, %v", good, e, err)
		}
	}
}
