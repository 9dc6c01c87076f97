package lab

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
)

// DebTree is a folder with Debian packages unpacked, not installed: an installed package
// might replace another one of the machine, or start a service. It is fetched once
// into the module's bin folder, which make clean empties. programs are the names of the
// files in it whose shared libraries must be there too.
func DebTree(name string, packages, programs []string) (string, error) {
	return unpacked(name, func(dir string) error { return unpack(dir, packages, programs) })
}

// ScriptTree is DebTree for a package of scripts: what it depends on and the machine
// does not have is in the folder too, but for the packages that match needless. finish
// is called once with the new folder.
func ScriptTree(name, pkg string, needless *regexp.Regexp, finish func(dir string) error) (string, error) {
	return unpacked(name, func(dir string) error {
		out, err := indexed(dir, "install", "-s", "--no-install-recommends", pkg)
		if err != nil {
			return fmt.Errorf("asking what %s depends on: %w", pkg, err)
		}
		pkgs := []string{pkg}
		for line := range strings.SplitSeq(string(out), "\n") {
			f := strings.Fields(line)
			if len(f) > 1 && f[0] == "Inst" && f[1] != pkg && !needless.MatchString(f[1]) {
				pkgs = append(pkgs, f[1])
			}
		}
		if err := download(dir, pkgs...); err != nil {
			return err
		}
		return finish(dir)
	})
}

// unpacked returns the folder of this name in the module's bin folder; fill fills it
// the first time.
func unpacked(name string, fill func(dir string) error) (string, error) {
	root, err := ModuleRoot()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(root, "bin", "lab", name)
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", fmt.Errorf("unpacking %s: %w", name, err)
	}
	tmp, err := os.MkdirTemp(filepath.Dir(dir), "unpack")
	if err != nil {
		return "", fmt.Errorf("unpacking %s: %w", name, err)
	}
	defer os.RemoveAll(tmp)
	if err := os.Chmod(tmp, 0o755); err != nil {
		return "", fmt.Errorf("unpacking %s: %w", name, err)
	}
	if err := fill(tmp); err != nil {
		return "", fmt.Errorf("unpacking %s: %w", name, err)
	}
	if err := os.Rename(tmp, dir); err != nil {
		if _, gone := os.Stat(dir); gone == nil {
			return dir, nil // another test, or another process, was faster
		}
		return "", fmt.Errorf("unpacking %s: %w", name, err)
	}
	return dir, nil
}

// unpack downloads packages and, one by one, the libraries that their programs need and
// that the machine does not have.
func unpack(dir string, packages, programs []string) error {
	if err := download(dir, packages...); err != nil {
		return err
	}
	var files, wanted []string
	for _, p := range programs {
		file, err := findFile(dir, p)
		if err != nil {
			return err
		}
		files = append(files, file)
	}
	seen := map[string]bool{}
	for _, p := range packages {
		seen[p] = true
		wanted = append(wanted, dependencies(p)...)
	}
	for {
		libs, err := libraryPath(dir)
		if err != nil {
			return err
		}
		ldd := exec.Command("ldd", files...)
		ldd.Env = append(os.Environ(), "LD_LIBRARY_PATH="+libs)
		out, err := ldd.Output()
		if err != nil {
			return fmt.Errorf("listing libraries: %w", err)
		}
		if !strings.Contains(string(out), "not found") {
			return nil
		}
		for len(wanted) > 0 && (seen[wanted[0]] || installed(wanted[0])) {
			wanted = wanted[1:]
		}
		if len(wanted) == 0 {
			return errors.New("it needs libraries that its packages do not name")
		}
		pkg := wanted[0]
		seen[pkg] = true
		if err := download(dir, pkg); err != nil {
			return err
		}
		wanted = append(wanted, dependencies(pkg)...)
	}
}

// newIndex fetches the index of Debian packages. It waits for another apt-get that does so.
var newIndex = sync.OnceValue(func() error {
	return Until("the index of Debian's packages", func() (bool, error) {
		out, err := exec.Command("apt-get", "-q", "-o", "Acquire::Retries=3", "update").CombinedOutput()
		if err != nil {
			err = fmt.Errorf("%w\n%s", err, out)
		}
		return true, err
	})
})

// indexed runs apt-get in dir and returns what it prints. If that fails, it is run again with
// a new index: a machine may have none, or one that names packages which are gone.
func indexed(dir string, args ...string) ([]byte, error) {
	run := func() ([]byte, error) {
		cmd := exec.Command("apt-get", append([]string{"-q", "-o", "Acquire::Retries=3"}, args...)...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			err = fmt.Errorf("%w\n%s", err, out)
		}
		return out, err
	}
	out, err := run()
	if err == nil {
		return out, nil
	}
	if err := newIndex(); err != nil {
		return nil, err
	}
	return run()
}

// download fetches Debian packages and unpacks them into dir.
func download(dir string, pkgs ...string) error {
	if _, err := indexed(dir, append([]string{"download"}, pkgs...)...); err != nil {
		return fmt.Errorf("downloading %s: %w", strings.Join(pkgs, ", "), err)
	}
	debs, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	if err != nil {
		return err
	}
	for _, deb := range debs {
		if out, err := exec.Command("dpkg", "-x", deb, dir).CombinedOutput(); err != nil {
			return fmt.Errorf("unpacking %s: %w\n%s", filepath.Base(deb), err, out)
		}
		if err := os.Remove(deb); err != nil {
			return err
		}
	}
	return os.Chmod(dir, 0o755) // dpkg gives it the mode of the package's root
}

// dependencies returns the libraries that a package depends on.
func dependencies(pkg string) []string {
	out, err := exec.Command("apt-cache", "depends", "--no-recommends", "--no-suggests", pkg).Output()
	if err != nil {
		return nil
	}
	var libs []string
	for line := range strings.SplitSeq(string(out), "\n") {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "Depends: lib"); ok && !strings.HasPrefix(name, "js-") {
			libs = append(libs, "lib"+name)
		}
	}
	return libs
}

func installed(pkg string) bool {
	out, err := exec.Command("dpkg-query", "-W", "-f", "${db:Status-Status}", pkg).Output()
	return err == nil && strings.HasPrefix(string(out), "installed")
}

// debProgram is DebTree, with the first of the programs and the environment in which it
// finds its libraries.
func debProgram(name string, packages, programs []string) (tree, program string, env []string, err error) {
	if tree, err = DebTree(name, packages, programs); err != nil {
		return "", "", nil, err
	}
	if program, err = findFile(tree, programs[0]); err != nil {
		return "", "", nil, err
	}
	libs, err := libraryPath(tree)
	return tree, program, []string{"LD_LIBRARY_PATH=" + libs}, err
}

// libraryPath lists the folders below dir that contain shared libraries.
func libraryPath(dir string) (string, error) {
	var dirs []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if strings.Contains(d.Name(), ".so.") {
			if parent := filepath.Dir(path); len(dirs) == 0 || dirs[len(dirs)-1] != parent {
				dirs = append(dirs, parent)
			}
		}
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("looking for libraries: %w", err)
	}
	return strings.Join(dirs, ":"), nil
}

// findFile finds a program or a shared library of this name: not the start script that
// may have it too.
func findFile(dir, name string) (string, error) {
	found := ""
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || found != "" || d.Name() != name || !d.Type().IsRegular() {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		magic := make([]byte, 4)
		if _, err := io.ReadFull(f, magic); err == nil && string(magic) == "\x7fELF" {
			found = path
		}
		return nil
	})
	if err == nil && found == "" {
		err = fmt.Errorf("no program %s in the packages", name)
	}
	return found, err
}
