//go:build e2e

package main

import (
	"path/filepath"
	"testing"
)

// TestTools runs the scripts that need programs which a machine may not have.
func TestTools(t *testing.T) { runScripts(t, filepath.Join("testdata", "tools", "*.txtar")) }
