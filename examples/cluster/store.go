package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Reading and writing the rooms' stream. Reading is by "direct get": one request, answered by any
// node that has a copy, with as many messages as were asked for. No consumer is made, so a room or
// a member that reads costs the broker nothing afterwards. A copy may be some moments behind, so
// who knows that there must be more asks again.

// A stored message is one of the stream's.
type stored struct {
	seq  uint64 // its number in the stream: rising in a room, with holes
	data []byte
}

// readTimeout bounds one request. A node that dies in the middle of its answer costs as much.
const readTimeout = 2 * time.Second

const (
	directGet = "$JS.API.DIRECT.GET." + roomsStream

	pageLength = 250
	pageBytes  = 256 << 10
)

// A getRequest asks for messages. Its fields are JetStream's.
type getRequest struct {
	Seq      uint64   `json:"seq,omitempty"`
	NextFor  string   `json:"next_by_subj,omitempty"`
	LastFor  []string `json:"multi_last,omitempty"`
	Batch    int      `json:"batch"`
	MaxBytes int      `json:"max_bytes"`
}

// read returns the messages of a room from a number on, a page at most, and how many more there
// are.
func (b *broker) read(ctx context.Context, room string, from uint64) (page []stored, more int, err error) {
	more, err = b.get(ctx, getRequest{Seq: max(from, 1), NextFor: "say." + room, Batch: pageLength, MaxBytes: pageBytes},
		func(m *nats.Msg, seq uint64) { page = append(page, stored{seq, m.Data}) })
	return page, more, err
}

// lastOf returns the number of the last message in each of the rooms. Rooms in which nothing was
// said are missing.
func (b *broker) lastOf(ctx context.Context, rooms []string) (map[string]uint64, error) {
	subjects := make([]string, len(rooms))
	for i, room := range rooms {
		subjects[i] = "say." + room
	}
	last := make(map[string]uint64, len(rooms))
	_, err := b.get(ctx, getRequest{LastFor: subjects, Batch: len(rooms), MaxBytes: 64 << 20}, func(m *nats.Msg, seq uint64) {
		if subject := m.Header.Get("Nats-Subject"); len(subject) > len("say.") {
			last[subject[len("say."):]] = seq
		}
	})
	return last, err
}

// get sends a request and calls f for each message of the answer. Each message says the number of
// the one before, so an answer that lost a part is an error.
func (b *broker) get(ctx context.Context, req getRequest, f func(m *nats.Msg, seq uint64)) (more int, err error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	sub, err := b.nc.SubscribeSync(b.nc.NewInbox())
	if err != nil {
		return 0, err
	}
	defer sub.Unsubscribe()
	body, _ := json.Marshal(req)
	if err := b.nc.PublishRequest(directGet, sub.Subject, body); err != nil {
		return 0, err
	}
	for before := uint64(0); ; {
		m, err := sub.NextMsgWithContext(ctx)
		if err != nil {
			return 0, fmt.Errorf("reading the history: %w", err)
		}
		if prev, _ := numberIn(m, jetstream.LastSequenceHeader); prev != before && m.Header.Get("Status") != "404" {
			return 0, errors.New("reading the history: a part of the answer is missing")
		}
		switch status := m.Header.Get("Status"); status {
		case "":
		case "204": // the end
			pending, _ := numberIn(m, "Nats-Num-Pending")
			return int(pending), nil
		case "404": // nothing there
			return 0, nil
		default:
			return 0, fmt.Errorf("reading the history: status %s %s", status, m.Header.Get("Description"))
		}
		seq, err := numberIn(m, jetstream.SequenceHeader)
		if err != nil {
			return 0, fmt.Errorf("reading the history: %w", err)
		}
		before = seq
		f(m, seq)
	}
}

// numberIn returns a number in a header, 0 if that is missing.
func numberIn(m *nats.Msg, header string) (uint64, error) {
	text := m.Header.Get(header)
	if text == "" {
		return 0, nil
	}
	return strconv.ParseUint(text, 10, 64)
}

// publishTimeout bounds a publish. After that nobody knows whether the message was stored, and the
// client repeats it, which the message id makes harmless.
const publishTimeout = 5 * time.Second

// publish stores a message, and returns its number after the replicas have it. The same id within
// the stream's window is the same message: it is stored once, and acknowledged again.
func (b *broker) publish(ctx context.Context, room, id string, data []byte) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	ack, err := b.js.PublishMsg(ctx, &nats.Msg{Subject: "say." + room, Data: data},
		jetstream.WithMsgID(id), jetstream.WithExpectStream(roomsStream),
		jetstream.WithRetryAttempts(10), jetstream.WithRetryWait(200*time.Millisecond))
	if err != nil {
		return 0, err
	}
	return ack.Sequence, nil
}
