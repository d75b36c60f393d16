package main

// This file has a server's process with connections to it, whose first message has come back as it
// should.

import (
	"fmt"
	"net/http"
)

// A session is a server's process and the connections to it.
type session struct {
	*child
	server *server
	job    job
	links  []link
	script *script
	load   *load
}

// start starts a server, and opens n connections to it if n is not 0.
func start(s *server, j job, n int, script scriptMaker) (*session, error) {
	c, err := startChild(s, j)
	if err != nil {
		return nil, err
	}
	ss := &session{child: c, server: s, job: j}
	if err := ss.open(n, script); err != nil {
		ss.stop()
		return nil, err
	}
	return ss, nil
}

// A scriptMaker makes a script for the parameters that client and server agreed on.
type scriptMaker func(a agreement) (*script, error)

func plain(size, inFlight int) scriptMaker {
	return func(agreement) (*script, error) { return plainScript(size, inFlight), nil }
}

func compressed(messages [][]byte) scriptMaker {
	return func(a agreement) (*script, error) { return deflateScript(messages, a) }
}

// open opens n more connections, and has a first message answered on each.
func (ss *session) open(n int, script scriptMaker) error {
	request := request(ss.addr, ss.job.Deflate)
	for n > 0 {
		links, err := dialLinks(ss.addr, min(n, batch), ss.job.TLS)
		if err != nil {
			return err
		}
		ss.links = append(ss.links, links...)
		n -= len(links)
		header, err := upgrade(links, request)
		if err != nil {
			return err
		}
		if ss.script == nil {
			if err := ss.agree(header, script); err != nil {
				return err
			}
		}
		if ss.job.Broadcast {
			continue
		}
		if err := greet(links, ss.script, ss.check()); err != nil {
			return err
		}
	}
	return nil
}

// agree makes the script, as the first response allows it.
func (ss *session) agree(header http.Header, script scriptMaker) error {
	a, err := parseAgreement(header.Get("Sec-WebSocket-Extensions"))
	if err != nil {
		return err
	}
	if err := ss.job.accepts(a); err != nil {
		return err
	}
	ss.script, err = script(a)
	return err
}

// accepts returns an error if the two sides agreed on other parameters than the ones to be
// measured.
func (j *job) accepts(a agreement) error {
	if a.compressed != j.Deflate || a.compressed && (a.serverTakeover != j.Takeover || a.clientTakeover != j.Takeover) {
		return fmt.Errorf("the server agreed to something else: %+v", a)
	}
	return nil
}

// check returns the check for the answer to the script's first message.
func (ss *session) check() answerCheck {
	switch {
	case ss.server.raw:
		return sameBytes(ss.script.frames(0, 1))
	case ss.job.Deflate:
		return sameContent(ss.script.first)
	default:
		return sameBytes(appendServerFrame(nil, finBinary, ss.script.first))
	}
}

// drive hands the connections to a load.
func (ss *session) drive() (err error) {
	ss.load, err = newLoad(ss.links, ss.script)
	return err
}

func (ss *session) stop() {
	if ss.load != nil {
		ss.load.close()
	}
	closeLinks(ss.links)
	ss.child.stop()
}

// checkBytes compares the number of bytes that came back with the right number, if that is known.
func (ss *session) checkBytes(got int64) error {
	size := len(ss.script.first)
	if ss.job.Broadcast {
		size = len(broadcastPayload)
	}
	frame := len(appendHeader(nil, finBinary, 0, size)) + size
	if ss.server.raw && !ss.job.Broadcast {
		frame += len(loadKey)
	}
	if want := int64(frame) * int64(ss.load.messages); !ss.job.Deflate && got != want {
		return fmt.Errorf("%d bytes came back for %d messages, not %d", got, ss.load.messages, want)
	}
	return nil
}
