package lab

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
)

// Query asks a SQLite database; there is one line per row, its columns separated by "|".
func Query(database, query string) ([]string, error) {
	out, err := exec.Command("sqlite3", "-cmd", ".timeout 20000", database, query).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("asking %s: %w: %s", filepath.Base(database), err, out)
	}
	return strings.Split(strings.TrimSuffix(string(out), "\n"), "\n"), nil
}
