//go:build unix

package ws

import "syscall"

const canOffer = true

// offer writes what the network takes at once, and says how much that was.
func offer(raw syscall.RawConn, p []byte) (n int, err error) {
	var werr error
	err = raw.Write(func(fd uintptr) bool {
		for {
			n, werr = syscall.Write(int(fd), p)
			if werr != syscall.EINTR {
				return true // even if nothing was taken: we do not wait
			}
		}
	})
	if err != nil {
		return 0, err
	}
	switch werr {
	case nil:
		return n, nil
	case syscall.EAGAIN:
		return 0, nil
	}
	return 0, werr
}
