package lab

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
)

// The ports of FreePorts lie below the range that the kernel hands out to outgoing
// connections and to whoever listens on port 0, so that none of these takes one before its
// server does. They are divided into blocks, and each process has blocks of its own.
const (
	firstPort = 20000
	lastPort  = 31999
	blockSize = 100
)

// claimed are the blocks of this process.
var claimed struct {
	mu     sync.Mutex
	locks  []net.Listener // one a block, kept open until the process ends
	blocks []int          // the first ports
	next   int            // how many ports were handed out of all blocks
}

// FreePorts returns n loopback TCP ports that nobody listens on and that nobody else gets
// from it, neither in this process nor in another: a server may bind one later.
func FreePorts(n int) ([]int, error) {
	claimed.mu.Lock()
	defer claimed.mu.Unlock()
	var found []int
	for len(found) < n {
		if claimed.next == len(claimed.blocks)*blockSize {
			if err := takeBlock(); err != nil {
				return nil, err
			}
		}
		port := claimed.blocks[claimed.next/blockSize] + claimed.next%blockSize
		claimed.next++
		ln, err := net.Listen("tcp", Loopback(port))
		if err != nil {
			continue // somebody who knows nothing of us
		}
		ln.Close()
		found = append(found, port)
	}
	return found, nil
}

// takeBlock takes a block that no process has. Its lock is an abstract unix socket: the
// kernel lets one process listen on it, in each network for itself as with ports, and frees
// it when that process ends in whatever way (unix(7)).
func takeBlock() error {
	for block := firstPort; block+blockSize-1 <= lastPort; block += blockSize {
		lock, err := net.Listen("unix", fmt.Sprintf("@bounce-milter-lab-ports-%d", block))
		if err != nil {
			continue
		}
		claimed.locks = append(claimed.locks, lock)
		claimed.blocks = append(claimed.blocks, block)
		return nil
	}
	return errors.New("finding free ports: other processes have all blocks")
}

// Loopback returns the address of a port on 127.0.0.1.
func Loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
