package epos

import (
	"time"

	"github.com/tillwire/tillwire/jsonrpc"
)

// NextID is the number before that of the next request of a client with a stream.
func NextID(c *Client) jsonrpc.ID {
	c.stream.mu.Lock()
	defer c.stream.mu.Unlock()
	return c.stream.nextID
}

// SetNextID changes it.
func SetNextID(c *Client, id jsonrpc.ID) {
	c.stream.mu.Lock()
	defer c.stream.mu.Unlock()
	c.stream.nextID = id
}

// Hurry shortens the pauses and limits of a REST client.
func Hurry(c *REST) {
	c.limits = restLimits{
		poll: 3 * time.Millisecond, request: 2 * time.Second, retry: 2 * time.Millisecond, deliver: 20 * time.Second,
		away: 20 * time.Second, still: 20 * time.Second, speak: 2 * time.Second, silence: 10 * time.Second, late: time.Millisecond,
	}
}

// GiveUpSending has a REST client that hurries give up soon on what is not taken.
func GiveUpSending(c *REST, after time.Duration) { c.limits.deliver = after }

// GiveUpLooking has it give up soon on what it does not see.
func GiveUpLooking(c *REST) {
	c.limits.away, c.limits.still = 30*time.Millisecond, 60*time.Millisecond
}

// Impatient has it wait less for one answer.
func Impatient(c *REST) {
	c.limits.request, c.limits.speak, c.limits.silence = 300*time.Millisecond, 300*time.Millisecond, 300*time.Millisecond
}
