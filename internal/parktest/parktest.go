// Package parktest is for the tests and benchmarks of this module: they can have
// connections parked far more often than programs would, or not at all.
package parktest

import "sync/atomic"

// Always has a connection parked after every message, if its Server parks at all.
var Always atomic.Bool

// Never has new connections keep their goroutines.
var Never atomic.Bool
