package link

import (
	"fmt"
	"time"
)

// Path is where machines dial in.
const Path = "/terminal"

// Version is the version of the protocol that is spoken here. It stands in the
// address, as link-version, and in the hello.
const Version = 1

// CheckVersion returns why a link-version of an address is not one that is
// spoken here, or nil. The text is for who sets the machine up.
func CheckVersion(v string) error {
	if v != fmt.Sprint(Version) {
		return fmt.Errorf("link-version %.20q is not known here. Use link-version=%d", v, Version)
	}
	return nil
}

// Bounds of a link.
const (
	MaxMessage = 1 << 20 // bytes of one message, either way

	helloLimit = 10 * time.Second // for the hello and for its answer

	perSecond = 200 // messages of a machine, sustained; what comes faster is read later
	burst     = 1000

	faultsTolerated = 100 // messages of a machine on one link that cannot be read
	maxWaiting      = 64  // requests that a machine has not answered yet
)
