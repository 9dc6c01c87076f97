//go:build unix

package origin

import (
	"io/fs"
	"syscall"
)

// ownedByRoot reports whether root alone decides who may read a file.
func ownedByRoot(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && st.Uid == 0
}
