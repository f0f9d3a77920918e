//go:build linux || darwin

package sqlite

import "golang.org/x/sys/unix"

// freeSpace returns how many bytes an ordinary user may still write.
func freeSpace(dir string) (uint64, bool) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, false
	}
	return st.Bavail * uint64(st.Bsize), true
}
