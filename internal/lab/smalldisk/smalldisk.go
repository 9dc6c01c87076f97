// Package smalldisk gives tests a real disk that can be filled up.
package smalldisk

import (
	"errors"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// inNamespace is set in the environment of a test that was started again, as root of a user
// namespace of its own.
const inNamespace = "BOUNCE_MILTER_TEST_IN_NAMESPACE"

// Run runs a part of a test in a folder of mode 0700 that is a disk of its own, of
// so many octets as the mount option size has it ("64k"). A user who may not mount runs the
// whole test again in a user namespace, where everybody may (user_namespaces(7)).
func Run(t *testing.T, size string, part func(t *testing.T, dir string)) {
	t.Helper()
	dir := t.TempDir()
	err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "mode=0700,size="+size)
	if errors.Is(err, syscall.EPERM) && os.Getenv(inNamespace) == "" {
		runInNamespace(t)
		return
	}
	if err != nil {
		t.Fatalf("mounting a small disk, as root or in a user namespace: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmounting the small disk: %v", err)
		}
	})
	part(t, dir)
}

// runInNamespace runs the test again as root of a new user namespace.
func runInNamespace(t *testing.T) {
	t.Helper()
	elements := strings.Split(t.Name(), "/")
	for i, e := range elements {
		elements[i] = "^" + regexp.QuoteMeta(e) + "$"
	}
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.count=1", "-test.v", "-test.run="+strings.Join(elements, "/"))
	cmd.Env = append(os.Environ(), inNamespace+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("as root of a user namespace: %v\n%s", err, out)
	}
}
