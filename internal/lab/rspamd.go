package lab

import (
	"fmt"
	"os"
)

// Rspamd is a running private rspamd: the proxy, as a milter that scans by itself. It
// refuses mail with the GTUBE pattern, and adds X-Spamd-Bar to all other mail.
type Rspamd struct {
	*Process
	// Addr is the address of its milter.
	Addr string
}

// GTUBE is what spam filters take for spam; it stands alone on a line.
const GTUBE = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"

// StartRspamd starts rspamd below the folder name of the Lab. It must be called by root.
func (l *Lab) StartRspamd(name string) (*Rspamd, error) {
	tree, program, env, err := debProgram("rspamd", []string{"rspamd"}, []string{"rspamd"})
	if err != nil {
		return nil, err
	}
	dir, err := l.mkdir(0o755, nobody, nobody, name)
	if err != nil {
		return nil, err
	}
	ports, err := FreePorts(1)
	if err != nil {
		return nil, err
	}
	share := tree + "/usr/share/rspamd"
	// The real list of public suffixes takes long to compile.
	for file, text := range map[string]string{"suffixes": "com\ntest\n", "rspamd.conf": fmt.Sprintf(rspamdConf, dir, share, ports[0])} {
		if err := os.WriteFile(dir+"/"+file, []byte(text), 0o644); err != nil {
			return nil, fmt.Errorf("writing the configuration of rspamd: %w", err)
		}
	}
	args := []string{"-f", "-u", "nobody", "-g", "nogroup", "-c", dir + "/rspamd.conf"}
	for _, v := range []string{"SHAREDIR=" + share, "LUALIBDIR=" + share + "/lualib", "RULESDIR=" + share + "/rules", "PLUGINSDIR=" + share + "/plugins",
		"CONFDIR=" + dir, "LOCAL_CONFDIR=" + dir, "DBDIR=" + dir, "RUNDIR=" + dir, "LOGDIR=" + dir} {
		args = append(args, "--var="+v)
	}
	r := &Rspamd{Addr: Loopback(ports[0])}
	r.Process, err = l.Start(Spec{
		Name: "rspamd", Path: program, Args: args, Env: env, Log: dir + "/log",
	})
	if err != nil {
		return nil, err
	}
	return r, r.UntilItListens("tcp", r.Addr)
}

// rspamdConf has the folder, rspamd's own files and the port as its arguments.
const rspamdConf = `options {
  pidfile = "%[1]s/pid";
  filters = "";
  dns { nameserver = ["127.0.0.1:1"]; timeout = 0.1s; retransmits = 0; }
  local_addrs = ["192.0.2.1"];
  control_socket = "%[1]s/control mode=0600";
  disable_hyperscan = true;
  temp_dir = "%[1]s";
  hs_cache_dir = "%[1]s/";
  cache_file = "%[1]s/symbols.cache";
  url_tld = "%[1]s/suffixes";
}
logging { type = "console"; level = "info"; }
actions { reject = 15; add_header = 6; }
modules { path = "%[2]s/plugins/milter_headers.lua"; }
milter_headers { use = ["x-spamd-bar"]; skip_local = false; skip_authenticated = false; }
worker "rspamd_proxy" {
  bind_socket = "127.0.0.1:%[3]d";
  milter = yes;
  timeout = 10s;
  count = 1;
  upstream "local" { default = yes; self_scan = yes; }
}
`
