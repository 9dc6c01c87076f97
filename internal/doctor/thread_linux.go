package doctor

import (
	"syscall"
	"unsafe"
)

// dropTo gives up root's rights in this thread alone: package syscall would change every
// thread.
func dropTo(uid, gid int, groups []int) error {
	list := make([]uint32, len(groups)+1)
	for i, g := range groups {
		list[i] = uint32(g)
	}
	list[len(groups)] = uint32(gid)
	for _, call := range [][4]uintptr{
		{syscall.SYS_SETGROUPS, uintptr(len(list)), uintptr(unsafe.Pointer(&list[0]))},
		{syscall.SYS_SETRESGID, uintptr(gid), uintptr(gid), uintptr(gid)},
		{syscall.SYS_SETRESUID, uintptr(uid), uintptr(uid), uintptr(uid)},
	} {
		if _, _, errno := syscall.RawSyscall(call[0], call[1], call[2], call[3]); errno != 0 {
			return errno
		}
	}
	return nil
}
