//go:build !windows

package sim

// dirSync says that folders can be synced.
const dirSync = true
