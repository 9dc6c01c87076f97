package lab

import (
	"errors"
	"fmt"
	"os/exec"
	"slices"
)

// Miltertest runs a Lua script with OpenDKIM's miltertest, a milter client that
// shares no code with any that we use, against the milter at spec
// ("inet:8894@127.0.0.1"). defs become global variables of the script. The
// output is returned in any case.
func Miltertest(script, spec string, defs map[string]string) (string, error) {
	args := []string{"-s", script, "-D", "SOCK=" + spec}
	var names []string
	for k := range defs {
		names = append(names, k)
	}
	slices.Sort(names)
	for _, k := range names {
		args = append(args, "-D", k+"="+defs[k])
	}
	out, err := exec.Command("miltertest", args...).CombinedOutput()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		return string(out), fmt.Errorf("miltertest: %w: %s", err, out)
	case err != nil:
		return string(out), fmt.Errorf("running miltertest: %w", err)
	}
	return string(out), nil
}
