package lab

import (
	"fmt"
	"os"
)

// StartSRS starts Debian's PostSRSd below the folder name of the Lab. It rewrites senders of
// all domains but the one given to addresses of that one, and back. It returns the lines
// that PostSRSd wants in main.cf.
func (l *Lab) StartSRS(name, domain string) (main string, err error) {
	_, program, env, err := debProgram("postsrsd", []string{"postsrsd"}, []string{"postsrsd"})
	if err != nil {
		return "", err
	}
	dir, err := l.mkdir(0o755, 0, 0, name)
	if err != nil {
		return "", err
	}
	ports, err := FreePorts(2)
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(dir+"/secret", []byte("a secret of "+domain+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("writing the secret of PostSRSd: %w", err)
	}
	p, err := l.Start(Spec{Name: "postsrsd", Path: program, Env: env, Log: dir + "/log", Args: []string{"-4", "-s" + dir + "/secret",
		"-d" + domain, fmt.Sprintf("-f%d", ports[0]), fmt.Sprintf("-r%d", ports[1])}})
	if err != nil {
		return "", err
	}
	for _, port := range ports {
		if err := p.UntilItListens("tcp", Loopback(port)); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("sender_canonical_maps = tcp:%s\nsender_canonical_classes = envelope_sender\n"+
		"recipient_canonical_maps = tcp:%s\nrecipient_canonical_classes = envelope_recipient,header_recipient\n", Loopback(ports[0]), Loopback(ports[1])), nil
}
