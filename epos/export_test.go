package epos

import "github.com/tillwire/tillwire/jsonrpc"

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
