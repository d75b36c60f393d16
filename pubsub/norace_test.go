//go:build !race

package pubsub_test

// underRace says that all is ten times slower.
const underRace = false
