//go:build !unix

package origin

import "io/fs"

// ownedByRoot is false where there is no root.
func ownedByRoot(fs.FileInfo) bool { return false }
