package milter

import (
	"io"
	"net"
	"os"
	"syscall"
	"unsafe"
)

// directSocket reads and writes a socket of package net by raw system calls. Those of
// package syscall tell Go's scheduler that they may block, and after a pause that wakes the
// runtime's monitoring thread, which costs more than the call. Mail has a pause before
// every command. These sockets never block: what cannot be done at once waits in the
// poller, with the deadlines of the connection, as in package net.
//
// It belongs to one goroutine.
type directSocket struct {
	raw   syscall.RawConn
	rest  []byte // to be filled or sent
	count int    // octets that were
	errno syscall.Errno

	reader, writer func(fd uintptr) bool // made once, because each would be allocated
}

// direct returns what reads and writes c: c itself if it is not a socket.
func direct(c net.Conn) io.ReadWriter {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return c
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return c
	}
	d := &directSocket{raw: raw}
	d.reader, d.writer = d.readOnce, d.writeAll
	return d
}

// Read reads what is there, or waits for it.
func (d *directSocket) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n, err := d.do(p, d.raw.Read, d.reader, "read")
	if err == nil && n == 0 {
		err = io.EOF
	}
	return n, err
}

// Write writes all of p, unless there is an error.
func (d *directSocket) Write(p []byte) (int, error) {
	return d.do(p, d.raw.Write, d.writer, "write")
}

func (d *directSocket) do(p []byte, when func(func(uintptr) bool) error, what func(uintptr) bool, name string) (int, error) {
	d.rest, d.count, d.errno = p, 0, 0
	err := when(what)
	d.rest = nil
	if err == nil && d.errno != 0 {
		err = os.NewSyscallError(name, d.errno)
	}
	return d.count, err
}

// readOnce returns false if there is nothing to read yet.
func (d *directSocket) readOnce(fd uintptr) bool { return d.call(syscall.SYS_READ, fd) }

// writeAll returns false if there is no room yet for the rest.
func (d *directSocket) writeAll(fd uintptr) bool {
	for len(d.rest) > 0 && d.errno == 0 {
		if !d.call(syscall.SYS_WRITE, fd) {
			return false
		}
	}
	return true
}

// call returns false if the socket is not ready.
func (d *directSocket) call(trap, fd uintptr) bool {
	for {
		n, _, errno := syscall.RawSyscall(trap, fd, uintptr(unsafe.Pointer(unsafe.SliceData(d.rest))), uintptr(len(d.rest)))
		switch errno {
		case 0:
			d.count += int(n)
			d.rest = d.rest[n:]
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
			return false
		default:
			d.errno = errno
		}
		return true
	}
}
