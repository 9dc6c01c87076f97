package milter

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// hungUp reports whether the connection, or the peer's half of it, is closed. It does
// not read.
func hungUp(c net.Conn) bool {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return true
	}
	gone := false
	err = raw.Control(func(fd uintptr) {
		p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
		n, err := unix.Poll(p, 0)
		gone = err == nil && n > 0 // POLLRDHUP, or an error, which poll always reports
	})
	return gone || err != nil
}
