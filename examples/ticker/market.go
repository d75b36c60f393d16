package main

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/plainsocket/websocket"
	"github.com/plainsocket/websocket/pubsub"
)

// topic is the one topic of this program.
const topic = "prices"

// A price is what a symbol costs.
type price struct {
	Symbol string  `json:"symbol"`
	Price  float64 `json:"price"`
	Seq    int     `json:"seq"`  // counts the symbol's prices: a gap says how many were superseded
	Time   int64   `json:"time"` // in milliseconds since 1970
}

// A snapshot is a member's first message: all prices as they are, and what time it is here.
type snapshot struct {
	Now    int64   `json:"now"`
	Rate   int     `json:"rate"`
	Prices []price `json:"prices"`
}

// A market makes prices while somebody listens.
type market struct {
	rate   int
	topics pubsub.Topics

	mu     sync.Mutex // guards what follows
	prices []price
	stop   chan struct{} // closed when the last member has left
}

func newMarket(symbols, rate int) *market {
	m := &market{rate: rate}
	for i := range symbols {
		m.prices = append(m.prices, price{Symbol: symbolName(i), Price: 20 + 200*rand.Float64(), Time: time.Now().UnixMilli()})
	}
	m.topics.Opened = m.begin
	m.topics.Closed = m.end
	return m
}

func symbolName(i int) string {
	return fmt.Sprintf("%c%c%c", 'A'+i/676%26, 'A'+i/26%26, 'A'+i%26)
}

// begin is called when the first member has come, and end when the last one has left: never at the
// same time.
func (m *market) begin(string) {
	m.stop = make(chan struct{})
	go m.trade(m.stop)
}

func (m *market) end(string) { close(m.stop) }

// opened makes a connection a member. Its snapshot has all prices up to then, and it gets those
// that come later as messages: they are published under the same lock.
//
// A price can be superseded only while it waits here. What lies in the system's buffers makes a
// slow member late, so the buffer is small.
func (m *market) opened(c *websocket.Conn, _ *http.Request) {
	if tc, ok := c.NetConn().(*net.TCPConn); ok {
		tc.SetWriteBuffer(16 << 10)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.topics.Subscribe(c, topic)
	b, err := json.Marshal(snapshot{time.Now().UnixMilli(), m.rate, m.prices})
	if err != nil {
		panic(err) // a snapshot can be encoded
	}
	c.Enqueue(websocket.TextMessage, b)
}

// trade makes prices until stop is closed, in small portions.
func (m *market) trade(stop <-chan struct{}) {
	const tick = 5 * time.Millisecond
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	start, made := time.Now(), 0
	for {
		select {
		case <-stop:
			return
		case <-ticker.C:
		}
		due := int(time.Since(start).Seconds() * float64(m.rate))
		made = max(made, due-m.rate) // do not make up for more than a second
		for ; made < due; made++ {
			m.change(rand.IntN(len(m.prices)))
		}
	}
}

// change makes a new price for a symbol, and publishes it. If the one before still waits for a
// member, the new one takes its place.
func (m *market) change(i int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := &m.prices[i]
	p.Price = math.Round(max(1, p.Price*(1+rand.NormFloat64()/500))*100) / 100
	p.Seq++
	p.Time = time.Now().UnixMilli()
	b, err := json.Marshal(p)
	if err != nil {
		panic(err) // a price can be encoded
	}
	pm, _ := websocket.NewPreparedMessage(websocket.TextMessage, b)
	m.topics.PublishLatest(topic, p.Symbol, pm)
}
