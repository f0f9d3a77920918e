package sqlite

import (
	"fmt"
	"testing"

	"golang.org/x/sys/unix"
)

// mountSmall makes dir a disk of the given size in bytes, or says why it cannot.
func mountSmall(t *testing.T, dir string, size int) error {
	if err := unix.Mount("tillwire-test", dir, "tmpfs", 0, fmt.Sprintf("size=%d", size)); err != nil {
		return fmt.Errorf("mount: %w", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return nil
}
