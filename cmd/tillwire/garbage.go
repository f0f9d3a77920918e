package main

import (
	"os"
	"runtime"
)

// garbageRoom is how many bytes of garbage may lie about, and so what this costs
// in memory.
const garbageRoom = 32 << 20

// makeRoomForGarbage has garbage collected once there are 32 MiB of it, not as
// soon as there is as much as what lives: in a gateway that is a few MiB, and
// collecting would be a fifth of what a sale costs the processor. A percentage
// would do the same here, and cost more memory the more lives. So it allocates
// what counts as living and, since nobody touches it, takes no memory itself.
//
// It holds until release is called. Where GOGC or GOMEMLIMIT is set, somebody
// knows better, and it does nothing.
func makeRoomForGarbage() (release func()) {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return func() {}
	}
	room := make([]byte, garbageRoom)
	return func() { runtime.KeepAlive(room) }
}
