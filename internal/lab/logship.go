package lab

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Rsyslog is a private rsyslogd with one recipe in its configuration.
type Rsyslog struct {
	*Process
	lab  *Lab
	spec Spec
}

// StartRsyslog starts an rsyslogd whose configuration is the recipe.
func (l *Lab) StartRsyslog(name, recipe string) (*Rsyslog, error) {
	tree, program, env, err := debProgram("rsyslog", []string{"rsyslog", "rsyslog-kafka", "rsyslog-elasticsearch"},
		[]string{"rsyslogd", "imfile.so", "mmjsonparse.so", "omkafka.so", "omelasticsearch.so"})
	if err != nil {
		return nil, err
	}
	module, err := findFile(tree, "omkafka.so")
	if err != nil {
		return nil, err
	}
	dir, err := l.mkdir(0o755, 0, 0, name)
	if err != nil {
		return nil, err
	}
	conf := filepath.Join(dir, "rsyslog.conf")
	text := fmt.Sprintf("global(workDirectory=%q)\n%s\nsyslog.* action(type=\"omfile\" file=%q)\n", dir, recipe, filepath.Join(dir, "own.log"))
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		return nil, fmt.Errorf("configuring rsyslog: %w", err)
	}
	r := &Rsyslog{lab: l, spec: Spec{
		Name: "rsyslog", Path: program, Args: []string{"-n", "-f", conf, "-i", filepath.Join(dir, "pid"), "-M", filepath.Dir(module)},
		Env: env, Log: filepath.Join(dir, "start.log"),
	}}
	return r, r.Restart()
}

// Restart starts it again after it was stopped or killed.
func (r *Rsyslog) Restart() (err error) {
	r.Process, err = r.lab.Start(r.spec)
	return err
}

// StartSyslogNG starts a syslog-ng whose configuration is the recipe.
func (l *Lab) StartSyslogNG(name, recipe string) (*Process, error) {
	tree, program, env, err := debProgram("syslog-ng", []string{"syslog-ng-core"}, []string{"syslog-ng", "libaffile.so", "libafsocket.so", "libjson-plugin.so", "libdisk-buffer.so"})
	if err != nil {
		return nil, err
	}
	module, err := findFile(tree, "libaffile.so")
	if err != nil {
		return nil, err
	}
	dir, err := l.mkdir(0o755, 0, 0, name)
	if err != nil {
		return nil, err
	}
	conf := filepath.Join(dir, "syslog-ng.conf")
	// Nothing of the recipe depends on the version, which a file must name.
	text := "@version: current\noptions { stats-freq(0); };\n" + recipe
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		return nil, fmt.Errorf("configuring syslog-ng: %w", err)
	}
	in := func(name string) string { return filepath.Join(dir, name) }
	return l.Start(Spec{
		Name: "syslog-ng", Path: program, Args: []string{"-F", "-e", "--no-caps", "-f", conf, "--module-path", filepath.Dir(module),
			"-p", in("pid"), "-R", in("persist"), "-c", in("ctl")},
		Env: env, Log: in("start.log"),
	})
}

// BuildVictoriaLogs compiles VictoriaLogs to the file out. Its version is pinned in a
// module of its own, so that nobody who imports ours is asked for it.
func BuildVictoriaLogs(out string) error {
	root, err := ModuleRoot()
	if err != nil {
		return err
	}
	cmd := exec.Command("go", "build", "-modfile=internal/tools/victorialogs/go.mod", "-o", out,
		"github.com/VictoriaMetrics/VictoriaLogs/app/victoria-logs")
	cmd.Dir, cmd.Env = root, append(os.Environ(), "CGO_ENABLED=0")
	if msg, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building VictoriaLogs: %w\n%s", err, msg)
	}
	return nil
}
