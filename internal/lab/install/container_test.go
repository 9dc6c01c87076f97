//go:build e2e

package install

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/bounce-milter/bounce-milter/internal/lab"
	"github.com/emersion/go-message/textproto"
	gomilter "github.com/emersion/go-milter"
)

// TestImage unpacks the image and runs it as a container engine would: with the user and
// the command of its configuration, a root that nobody can write to, no capability, and a
// network of its own.
func TestImage(t *testing.T) {
	t.Parallel()
	archive := built(t, "*-oci-amd64.tar")
	dir := t.TempDir()
	for _, kind := range []string{"oci-archive", "docker-archive"} {
		output(t, "skopeo", "copy", "--insecure-policy", "-q", kind+":"+archive, "oci:"+dir+"/"+kind+":latest")
	}
	output(t, "umoci", "unpack", "--image", dir+"/oci-archive:latest", dir+"/bundle")
	var image struct {
		Architecture string
		Config       struct {
			User            string
			Entrypoint, Cmd []string
			Healthcheck     struct{ Test []string }
		}
	}
	// skopeo would leave out the health check, which the OCI does not know.
	var manifest []struct{ Config string }
	if err := json.Unmarshal([]byte(output(t, "tar", "-xOf", archive, "manifest.json")), &manifest); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(output(t, "tar", "-xOf", archive, manifest[0].Config)), &image); err != nil {
		t.Fatal(err)
	}
	c := image.Config
	if c.User != "10001:10001" || image.Architecture != "amd64" || len(c.Healthcheck.Test) < 2 || c.Healthcheck.Test[0] != "CMD" {
		t.Fatalf("the image's configuration is %+v", image)
	}
	root := dir + "/bundle/rootfs"
	if listed := output(t, "find", root, "-perm", "/6000", "-o", "-name", "sh"); listed != "" {
		t.Errorf("the image has a shell, or programs of another user:\n%s", listed)
	}
	for _, d := range []string{"/proc", "/dev", "/tmp"} { // as engines do
		if err := os.Mkdir(root+d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	// The words of the script are the user, the root and the command.
	const script = `user=$1 root=$2; shift 2
mount --bind "$root" "$root" && mount -t proc proc "$root/proc" && mount -o remount,bind,ro "$root" && ip link set lo up &&
exec setpriv --no-new-privs --inh-caps=-all --bounding-set=-all,+sys_chroot,+setuid,+setgid chroot --userspec="$user" "$root" "$@"`
	daemon := exec.Command("unshare", append([]string{"-m", "-n", "-p", "-f", "--kill-child", "sh", "-c", script, "sh", c.User, root},
		append(c.Entrypoint, c.Cmd...)...)...)
	var log lockedBuffer
	daemon.Stdout, daemon.Stderr, daemon.Env = &log, &log, []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
	daemon.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		exec.Command("kill", "-KILL", leaderOf(daemon.Process.Pid)).Run() // it may have ended
		daemon.Process.Kill()
		daemon.Wait()
		if t.Failed() {
			t.Logf("log of the container:\n%s", log.String())
		}
	})
	if err := lab.Until("the container to serve", func() (bool, error) { return strings.Contains(log.String(), "msg=serving"), nil }); err != nil {
		t.Fatal(err)
	}
	leader := leaderOf(daemon.Process.Pid)
	if out := output(t, "nsenter", append([]string{"-t", leader, "-m", "-n", "-p", "-r", "-w", "-S", "10001", "-G", "10001"}, c.Healthcheck.Test[1:]...)...); out != "ready\n" {
		t.Errorf("the health check says %q", out)
	}
	status := output(t, "cat", "/proc/"+leader+"/status")
	for _, want := range []string{"\nUid:\t10001\t10001\t10001\t10001\n", "\nCapPrm:\t0000000000000000\n", "\nNoNewPrivs:\t1\n"} {
		if !strings.Contains(status, want) {
			t.Errorf("the daemon's status lacks %q:\n%s", want, status)
		}
	}
	err := inside(leader, func() error {
		added, err := judged("127.0.0.1:8894")
		if err == nil && !strings.Contains(added, "X-Bounce-Type: hard") {
			err = fmt.Errorf("a bounce got the headers %q", added)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	// The daemon ends as an engine ends it.
	if err := exec.Command("kill", leader).Run(); err != nil {
		t.Fatal(err)
	}
	if err := daemon.Wait(); err != nil {
		t.Errorf("after SIGTERM: %v", err)
	}
}

// judged shows a bounce to a milter and returns the fields that the milter inserts.
func judged(address string) (string, error) {
	client := gomilter.NewClientWithOptions("tcp", address, gomilter.ClientOptions{
		ActionMask: gomilter.OptAddHeader | gomilter.OptChangeHeader})
	defer client.Close()
	s, err := client.Session()
	if err != nil {
		return "", err
	}
	defer s.Close()
	head, body, _ := strings.Cut(string(lab.Bounce("container", "news@lab.test", nil, lab.Refused{Address: "gone@example.com", Status: "5.1.1",
		Diagnostic: "550 5.1.1 <gone@example.com>: user unknown"})), "\n\n")
	step := func(_ *gomilter.Action, e error) {
		if err == nil {
			err = e
		}
	}
	step(s.Conn("mx.example.com", gomilter.FamilyInet, 25, net.IPv4(192, 0, 2, 1).String()))
	step(s.Helo("mx.example.com"))
	step(s.Mail("", nil))
	step(s.Rcpt("news@lab.test", nil))
	fields, e := textproto.ReadHeader(bufio.NewReader(strings.NewReader(head + "\n\n")))
	if step(nil, e); err == nil {
		step(s.Header(fields))
	}
	if err != nil {
		return "", err
	}
	changes, _, err := s.BodyReadFrom(strings.NewReader(strings.ReplaceAll(body, "\n", "\r\n")))
	var added []string
	for _, c := range changes {
		added = append(added, c.HeaderName+": "+c.HeaderValue)
	}
	return strings.Join(added, "\n"), err
}
