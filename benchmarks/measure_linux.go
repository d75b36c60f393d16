package main

// One measurement has a fresh server process, connections to it, a load, and the server's readings
// before and after.

import (
	"math"
	"time"
)

// A bench has the settings that all measurements share.
type bench struct {
	length        time.Duration // of a measurement
	countSyscalls bool          // in this round
}

// underLoad measures the server's work while run drives it, per message that comes back.
func (b *bench) underLoad(ss *session, run func(d time.Duration) error) (cost, error) {
	if err := run(b.length / 3); err != nil { // to warm up
		return cost{}, err
	}
	before, err := ss.read("read")
	if err != nil {
		return cost{}, err
	}
	received := ss.load.dataBytes()
	if err := run(b.length); err != nil {
		return cost{}, err
	}
	after, err := ss.read("read")
	if err != nil {
		return cost{}, err
	}
	received = ss.load.dataBytes() - received
	c := costPer(ss.load.messages, before, after, received)
	if ss.external {
		c.allocations, c.allocated = math.NaN(), math.NaN()
	}
	return c, ss.checkBytes(received)
}

// loadSample is underLoad's costs as loadColumns has them.
func (b *bench) loadSample(ss *session, run func(d time.Duration) error) (sample, error) {
	c, err := b.underLoad(ss, run)
	if err != nil {
		return nil, err
	}
	calls, err := b.syscalls(ss, run)
	return sample{c.cpu, calls, c.allocations, c.allocated}, err
}

// syscalls counts system calls per message. Counting makes each of them slower, so it has a run of
// its own, in one round only. In other rounds the count is NaN.
func (b *bench) syscalls(ss *session, run func(d time.Duration) error) (float64, error) {
	if !b.countSyscalls {
		return math.NaN(), nil
	}
	counter, err := countSyscalls(ss.cmd.Process.Pid)
	if err != nil {
		return math.NaN(), nil // the report says that there is no such column
	}
	err = run(b.length / 4)
	return float64(counter.close()) / float64(ss.load.messages), err
}

// echo measures connections that each keep messages under way.
func (b *bench) echo(s *server, conns, size, inFlight int) (sample, error) {
	ss, err := start(s, job{}, conns, plain(size, inFlight))
	if err != nil {
		return nil, err
	}
	defer ss.stop()
	if err := ss.drive(); err != nil {
		return nil, err
	}
	return b.loadSample(ss, func(d time.Duration) error { return ss.load.closedLoop(inFlight, d) })
}

// deflate measures echoes of compressed messages.
func (b *bench) deflate(s *server, takeover bool) (sample, error) {
	ss, err := start(s, job{Deflate: true, Takeover: takeover}, 64, compressed(jsonMessages(deflateCycle)))
	if err != nil {
		return nil, err
	}
	defer ss.stop()
	if err := ss.drive(); err != nil {
		return nil, err
	}
	c, err := b.underLoad(ss, func(d time.Duration) error { return ss.load.closedLoop(1, d) })
	return sample{c.cpu, c.wireBytes, c.allocations, c.allocated}, err
}

// latency measures under a load of a given rate.
func (b *bench) latency(s *server, conns, size, rate int) (sample, error) {
	ss, err := start(s, job{}, conns, plain(size, 32))
	if err != nil {
		return nil, err
	}
	defer ss.stop()
	if err := ss.drive(); err != nil {
		return nil, err
	}
	var latencies []int64
	c, err := b.underLoad(ss, func(d time.Duration) (err error) {
		latencies, err = ss.load.openLoop(rate, d)
		return err
	})
	us := func(p float64) float64 { return percentile(latencies, p) / 1000 }
	return sample{us(.5), us(.99), us(.999), c.cpu}, err
}

// broadcast measures how a prepared message is sent to n connections.
func (b *bench) broadcast(s *server, n int) (sample, error) {
	ss, err := start(s, job{Broadcast: true, Quiet: true}, n, plain(1, 1))
	if err != nil {
		return nil, err
	}
	defer ss.stop()
	if err := ss.command("broadcast %d 1", n); err != nil {
		return nil, err
	}
	if err := expect(ss.links, sameBytes(appendServerFrame(nil, finBinary, broadcastPayload))); err != nil {
		return nil, err
	}
	if _, err := ss.reading(); err != nil {
		return nil, err
	}
	if err := ss.drive(); err != nil {
		return nil, err
	}
	return b.loadSample(ss, func(d time.Duration) error {
		times := max(2, int(d/(broadcastEstimate*time.Duration(n))))
		if err := ss.command("broadcast %d %d", n, times); err != nil {
			return err
		}
		if err := ss.load.receiveAll(n * times); err != nil {
			return err
		}
		_, err := ss.reading()
		return err
	})
}

// broadcastEstimate is about the time of one delivery. It only decides how many fit into a
// measurement.
const broadcastEstimate = 8 * time.Microsecond

// handshakes measures opening handshakes, 64 at a time. The connections are closed at once. TCP's
// part is included.
func (b *bench) handshakes(s *server) (sample, error) {
	ss, err := start(s, job{Quiet: true}, 0, nil)
	if err != nil {
		return nil, err
	}
	defer ss.stop()
	if _, err := shakeHands(ss.addr, b.length/3); err != nil {
		return nil, err
	}
	before, err := ss.read("read")
	if err != nil {
		return nil, err
	}
	n, err := shakeHands(ss.addr, b.length)
	if err != nil {
		return nil, err
	}
	after, err := ss.read("read")
	if err != nil {
		return nil, err
	}
	c := costPer(n, before, after, 0)
	return sample{c.cpu / 1000, c.allocations, c.allocated}, nil
}

// shakeHands opens and closes connections for a time. It returns how many.
func shakeHands(addr string, d time.Duration) (n int, err error) {
	request := request(addr, false)
	for end := time.Now().Add(d); time.Now().Before(end); n += batch {
		links, err := dialLinks(addr, batch, false)
		if err != nil {
			return n, err
		}
		_, err = upgrade(links, request)
		closeLinks(links)
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// idle measures the memory of connections that each answered one message. The first connection does
// not count, because it makes the parts that all share.
func (b *bench) idle(s *server, j job, n int) (sample, error) {
	j.Quiet = true
	script := plain(125, 1)
	if j.Deflate {
		script = compressed(jsonMessages(deflateCycle))
	}
	ss, err := start(s, j, 1, script)
	if err != nil {
		return nil, err
	}
	defer ss.stop()
	before, err := ss.read("collect")
	if err != nil {
		return nil, err
	}
	kernelBefore := kernelMemory()
	if err := ss.open(n, script); err != nil {
		return nil, err
	}
	kernel := (float64(kernelMemory()) - float64(kernelBefore)) / float64(n)
	after, err := ss.read("read")
	if err != nil {
		return nil, err
	}
	collected, err := ss.read("collect")
	if err != nil {
		return nil, err
	}
	return append(idleSample(before, after, collected, n), kernel), nil
}
