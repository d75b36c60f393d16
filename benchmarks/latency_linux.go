package main

// This file measures latencies under a load that does not wait for answers. Messages go out when
// they are due, even if the server is late, and a latency counts from the time when the message was
// due. A closed loop would go easy on a server that stalls.

import (
	"fmt"
	"slices"
	"time"
)

// openLoop sends messages at a rate, to one connection after the other, and returns the times of
// the answers, sorted, in nanoseconds. It polls without waiting, because a wake-up takes longer
// than the times that are measured.
func (l *load) openLoop(rate int, d time.Duration) (latencies []int64, err error) {
	l.start()
	total := int(d.Seconds() * float64(rate))
	latencies = make([]int64, 0, total)
	begin := time.Now()
	l.record = func(c *loadConn, messages int) {
		now := int64(time.Since(begin))
		for _, due := range c.due[:messages] {
			latencies = append(latencies, now-due)
		}
		c.due = slices.Delete(c.due, 0, messages)
	}
	defer func() { l.record = l.answerAll }()
	for i := 0; l.messages < total; {
		now := time.Since(begin)
		if now > d+answerTimeout {
			return nil, fmt.Errorf("%d of %d answers are missing", total-l.messages, total)
		}
		for ; i < total; i++ {
			due := int64(i) * int64(time.Second) / int64(rate)
			if due > int64(now) {
				break
			}
			c := &l.conns[i%len(l.conns)]
			c.due = append(c.due, due)
			if err := l.send(c, 1); err != nil {
				return nil, err
			}
		}
		if err := l.wait(0); err != nil {
			return nil, err
		}
	}
	slices.Sort(latencies)
	return latencies, nil
}
