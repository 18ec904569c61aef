package store

import (
	"encoding/binary"
	"encoding/json"
	"fmt"

	"github.com/sourcegraph/appliance/supervisor/api"
)

// eventPrefix is the first byte of an event's key; other histories will have their own.
const eventPrefix = 'e'

// key orders events by time, then number. milli never goes back, so the order of keys is the order of numbers.
type key struct {
	milli int64
	seq   uint64
}

func (k key) bytes() []byte {
	b := make([]byte, 0, 17)
	b = append(b, eventPrefix)
	b = binary.BigEndian.AppendUint64(b, uint64(k.milli))
	return binary.BigEndian.AppendUint64(b, k.seq)
}

func parseKey(b []byte) (key, error) {
	if len(b) != 17 || b[0] != eventPrefix {
		return key{}, fmt.Errorf("%x is no key of an event", b)
	}
	return key{int64(binary.BigEndian.Uint64(b[1:])), binary.BigEndian.Uint64(b[9:])}, nil
}

// Keys of events are in [eventsFrom, eventsTo).
func eventsFrom() []byte { return []byte{eventPrefix} }
func eventsTo() []byte   { return []byte{eventPrefix + 1} }

// encode is JSON: a person can read it with Pebble's tools, and fields may come and go between versions.
func encode(e api.Event) ([]byte, error) { return json.Marshal(e) }

func decode(b []byte) (e api.Event, err error) {
	err = json.Unmarshal(b, &e)
	return e, err
}
