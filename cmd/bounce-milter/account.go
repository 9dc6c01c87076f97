package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"syscall"

	"github.com/bounce-milter/bounce-milter/config"
	"github.com/bounce-milter/bounce-milter/milter"
)

// account is the user that the daemon becomes.
type account struct {
	name     string
	uid, gid int
	groups   []int
}

// accountOf looks up the configured user. The groups include that of the sockets, so
// that the daemon can give the sockets to it. It returns nil if the daemon keeps its
// user. The error is a problem of the configuration.
func accountOf(cfg *config.Config) (*account, error) {
	if cfg.User == "" {
		return nil, nil
	}
	problem := func(format string, args ...any) error { return cfg.Refuse("user", format, args...) }
	u, err := config.LookupUser(cfg.User)
	if err != nil {
		return nil, problem("%v", err)
	}
	a := &account{name: u.Username}
	if a.uid, err = strconv.Atoi(u.Uid); err != nil {
		return nil, problem("%q has no number: %v", cfg.User, err)
	}
	if a.gid, err = strconv.Atoi(u.Gid); err != nil {
		return nil, problem("%q has no group: %v", cfg.User, err)
	}
	switch me := os.Geteuid(); {
	case me == a.uid && os.Getuid() == a.uid:
		return nil, nil
	case me != 0:
		return nil, problem("the daemon does not run as root and cannot become %q: start it as root or as %[1]q, or remove this key", cfg.User)
	}
	ids, err := u.GroupIds()
	if err != nil {
		return nil, problem("looking up the groups of %q: %v", cfg.User, err)
	}
	gid, err := milter.LookupGroup(cfg.Milter.SocketGroup)
	if err != nil {
		return nil, cfg.Refuse("socket_group", "%v", err)
	}
	if gid >= 0 {
		ids = append(ids, strconv.Itoa(gid))
	}
	for _, id := range ids {
		if n, err := strconv.Atoi(id); err == nil && !slices.Contains(a.groups, n) {
			a.groups = append(a.groups, n)
		}
	}
	return a, nil
}

// become changes the user of the process for good. This happens before anything is
// opened, so that whatever a later reload could not open already fails at the start.
func (a *account) become(cfg *config.Config, log *slog.Logger) error {
	if err := syscall.Setgroups(a.groups); err != nil {
		return fmt.Errorf("taking the groups of %s: %w", a.name, err)
	}
	if err := syscall.Setgid(a.gid); err != nil {
		return fmt.Errorf("taking the group of %s: %w", a.name, err)
	}
	if err := syscall.Setuid(a.uid); err != nil {
		return fmt.Errorf("becoming %s: %w", a.name, err)
	}
	log.Info("running as another user from now on", "user", a.name, "uid", a.uid, "gid", a.gid)
	read := slices.Concat([]string{cfg.File, cfg.RulesFolder()}, cfg.RuleFiles(), cfg.Milter.Origin.Files(), cfg.Events.Secrets())
	for _, path := range read {
		if f, err := os.Open(path); err == nil {
			f.Close()
		} else if path != "" && errors.Is(err, fs.ErrPermission) {
			log.Warn("this user cannot read a file that a reload will read", "user", a.name, "path", path)
		}
	}
	return nil
}
