package pubsub_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/plainsocket/websocket"
	"github.com/plainsocket/websocket/pubsub"
)

// Random schedules, checked message by message against the definition: a message goes to those who
// are members at the moment of Publish. Calls that overlap may have happened in either order,
// others not.

// A span is when a call began and ended, in steps of one clock.
type span struct{ begin, end int64 }

func (s span) isBefore(other span) bool { return s.end < other.begin }

// A stay is a membership, from the call of Subscribe to that of Unsubscribe.
type stay struct {
	topic       int
	subscribe   span
	unsubscribe span // begins and ends after everything else if there was none
}

type published struct {
	topic  int
	span   span
	except int // a member, or -1
}

type model struct {
	topics  pubsub.Topics
	clock   atomic.Int64
	members []*modelMember

	text func(n int) string // of the message with this number, which it begins with

	mu       sync.Mutex
	messages []published // by number
}

type modelMember struct {
	number         int
	client, server *websocket.Conn
	stays          []stay
	dies           bool
	got            []int // numbers of messages
}

const modelTopics = 3

func (m *model) during(call func()) span {
	begin := m.clock.Add(1)
	call()
	return span{begin, m.clock.Add(1)}
}

// publish publishes the message with the next number.
func (m *model) publish(topic, except int) {
	m.mu.Lock()
	n := len(m.messages)
	m.messages = append(m.messages, published{})
	m.mu.Unlock()
	var list []*websocket.Conn
	if except >= 0 {
		list = append(list, m.members[except].server)
	}
	s := m.during(func() { m.topics.Publish(fmt.Sprint(topic), prepare(m.text(n)), list...) })
	m.mu.Lock()
	m.messages[n] = published{topic, s, except}
	m.mu.Unlock()
}

// live subscribes and unsubscribes at random.
func (m *model) live(mm *modelMember, r *rand.Rand, steps int) {
	in := map[int]int{} // topic to index in stays
	for range steps {
		topic := r.IntN(modelTopics)
		i, is := in[topic]
		switch {
		case r.IntN(3) == 0:
			m.publish(topic, r.IntN(len(m.members)*2)-len(m.members))
		case is:
			mm.stays[i].unsubscribe = m.during(func() {
				if !m.topics.Unsubscribe(mm.server, fmt.Sprint(topic)) {
					panic("it was no member")
				}
			})
			delete(in, topic)
		default:
			s := m.during(func() {
				if !m.topics.Subscribe(mm.server, fmt.Sprint(topic)) {
					panic("it was a member already")
				}
			})
			in[topic] = len(mm.stays)
			mm.stays = append(mm.stays, stay{topic, s, span{1 << 60, 1 << 60}})
		}
	}
	if mm.dies {
		s := m.during(func() { mm.client.Close() })
		for _, i := range in {
			mm.stays[i].unsubscribe = span{s.begin, 1 << 60}
		}
	}
}

// read notes all messages until the last one, whose text is "end".
func (mm *modelMember) read() {
	texts, _ := collect(mm.client)
	mm.got = numbers(texts)
}

func TestModel(t *testing.T) {
	for round := range 200 {
		seed := rand.Uint64()
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			checkModel(t, seed)
			if t.Failed() {
				t.Logf("seed %d", seed)
			}
		})
	}
}

func checkModel(t *testing.T, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 0))
	m := &model{text: func(n int) string { return fmt.Sprint(n) }}
	if r.IntN(2) == 0 {
		m.topics.Opened = func(topic string) { m.topics.Len(topic) }
	}
	for i := range 2 + r.IntN(6) {
		client, server := pair(t)
		m.members = append(m.members, &modelMember{number: i, client: client, server: server, dies: r.IntN(4) == 0})
	}
	var living, reading sync.WaitGroup
	for _, mm := range m.members {
		own := rand.New(rand.NewPCG(seed, uint64(mm.number)))
		steps := r.IntN(150)
		living.Go(func() { m.live(mm, own, steps) })
		reading.Go(mm.read)
	}
	living.Wait()
	for _, mm := range m.members {
		m.topics.Subscribe(mm.server, "last")
	}
	m.topics.Publish("last", prepare("end"))
	reading.Wait()
	for _, mm := range m.members {
		m.check(t, mm)
	}
	m.checkOrder(t)
}

// check compares what a member got with what it must get, and what it may.
func (m *model) check(t *testing.T, mm *modelMember) {
	count := make(map[int]int)
	for _, n := range mm.got {
		count[n]++
	}
	for n, p := range m.messages {
		must, may := false, false
		for _, s := range mm.stays {
			if s.topic != p.topic || p.except == mm.number {
				continue
			}
			must = must || s.subscribe.isBefore(p.span) && p.span.isBefore(s.unsubscribe) && !mm.dies
			may = may || !p.span.isBefore(s.subscribe) && !s.unsubscribe.isBefore(p.span)
		}
		switch {
		case must && count[n] != 1:
			t.Errorf("member %d got message %d %d times, and was a member: %+v", mm.number, n, count[n], p)
		case !may && count[n] != 0:
			t.Errorf("member %d got message %d, and was no member: %+v", mm.number, n, p)
		case count[n] > 1:
			t.Errorf("member %d got message %d %d times", mm.number, n, count[n])
		}
	}
}

// checkOrder looks for an order of all messages in which every member got its own. It takes away
// the messages that come first wherever they come, until none is left.
func (m *model) checkOrder(t *testing.T) {
	behind := make([]map[int]bool, len(m.messages)) // number to those that came next to it
	before := make([]int, len(m.messages))
	for i := range behind {
		behind[i] = make(map[int]bool)
	}
	for _, mm := range m.members {
		for i := 1; i < len(mm.got); i++ {
			if a, b := mm.got[i-1], mm.got[i]; !behind[a][b] {
				behind[a][b] = true
				before[b]++
			}
		}
	}
	var free []int
	for n, count := range before {
		if count == 0 {
			free = append(free, n)
		}
	}
	placed := 0
	for ; len(free) > 0; placed++ {
		n := free[len(free)-1]
		free = free[:len(free)-1]
		for next := range behind[n] {
			if before[next]--; before[next] == 0 {
				free = append(free, next)
			}
		}
	}
	if placed != len(m.messages) {
		t.Errorf("the members got their messages in orders that contradict each other")
	}
}
