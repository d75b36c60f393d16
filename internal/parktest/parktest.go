// Package parktest is for the tests of this module: they can have connections parked
// far more often than programs would.
package parktest

import "sync/atomic"

// Always has a connection parked after every message, if its Server parks at all.
var Always atomic.Bool
