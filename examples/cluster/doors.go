package main

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"strings"
)

// Who may enter which room. A real program asks its database here, with the user that
// Upgrader.Admit found in a cookie or a token.

// doors has the rooms that exist, and the keys of those that need one. If it is empty, every room
// exists, and none needs a key.
type doors map[string]string

// parseDoors reads "tea,staff:secret": a room for all, and one with a key.
func parseDoors(list string) (doors, error) {
	d := make(doors)
	for entry := range strings.SplitSeq(list, ",") {
		name, key, _ := strings.Cut(entry, ":")
		switch {
		case entry == "":
		case !isRoomName(name):
			return nil, fmt.Errorf("-rooms: %q is no name for a room", name)
		default:
			d[name] = key
		}
	}
	return d, nil
}

var errNoEntry = errors.New("there is no such room, or the key is wrong")

// mayEnter says why somebody may not. A stranger does not learn which rooms exist.
func (d doors) mayEnter(room, key string) error {
	if !isRoomName(room) {
		return errors.New("a room's name has 1 to 32 letters, digits, - or _")
	}
	if len(d) == 0 {
		return nil
	}
	want, exists := d[room]
	a, b := sha256.Sum256([]byte(key)), sha256.Sum256([]byte(want))
	right := subtle.ConstantTimeCompare(a[:], b[:]) == 1
	if !exists || want != "" && !right {
		return errNoEntry
	}
	return nil
}
