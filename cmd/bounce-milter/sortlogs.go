package main

import (
	"bufio"
	"bytes"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/bounce-milter/bounce-milter/classify/mailbox"
	"github.com/bounce-milter/bounce-milter/classify/maillog"
)

// sortLogs tells logs from mail. A folder that has logs in it is taken apart; all others
// stay whole. Standard input is handed on as the last result, because it was looked at.
func (a *app) sortLogs(paths []string) (logs, mails []string, stdin io.Reader) {
	stdin = a.stdin
	switch as := a.options.as.word; as {
	case "":
	case "mail":
		return nil, paths, stdin
	default:
		return expandFolders(paths), nil, stdin
	}
	for _, path := range paths {
		switch info, err := os.Stat(path); {
		case path == mailbox.Stdin:
			var isLog bool
			if isLog, stdin = lookAtStdin(stdin); isLog {
				logs = append(logs, path)
				continue
			}
			mails = append(mails, path)
		case err == nil && info.IsDir():
			l, m := sortFolder(path)
			if logs = append(logs, l...); len(l) == 0 {
				m = []string{path}
			}
			mails = append(mails, m...)
		case looksLog(path):
			logs = append(logs, path)
		default:
			mails = append(mails, path)
		}
	}
	return logs, mails, stdin
}

// sortFolder returns the logs in a folder, and what else is in it. Hidden files are left
// out, as are pipes and devices; a Maildir has no logs.
func sortFolder(path string) (logs, mails []string) {
	entries, _ := os.ReadDir(path) // who reads the mail says what is wrong
	for _, e := range entries {
		if e.IsDir() && (e.Name() == "cur" || e.Name() == "new") {
			return nil, []string{path}
		}
	}
	for _, e := range entries {
		name := filepath.Join(path, e.Name())
		switch {
		case strings.HasPrefix(e.Name(), "."):
		case e.IsDir():
			l, m := sortFolder(name)
			if logs = append(logs, l...); len(l) == 0 {
				m = []string{name}
			}
			mails = append(mails, m...)
		case isRegular(name) && looksLog(name):
			logs = append(logs, name)
		default:
			mails = append(mails, name)
		}
	}
	return logs, mails
}

// expandFolders returns the files in folders, in place of the folders.
func expandFolders(paths []string) (files []string) {
	for _, path := range paths {
		if info, err := os.Stat(path); err != nil || !info.IsDir() {
			files = append(files, path)
			continue
		}
		filepath.WalkDir(path, func(name string, e fs.DirEntry, err error) error {
			switch {
			case err != nil:
				files = append(files, name) // the reader says what is wrong
			case name != path && strings.HasPrefix(e.Name(), "."):
				if e.IsDir() {
					return fs.SkipDir
				}
			case !e.IsDir() && isRegular(name):
				files = append(files, name)
			}
			return nil
		})
	}
	return files
}

func isRegular(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.Mode().IsRegular()
}

// looksLog reports whether a file is a log. Who reads it as mail says what is wrong.
func looksLog(path string) bool {
	if !isRegular(path) {
		return false
	}
	is, err := maillog.Look(path)
	return is && err == nil
}

// lookAtStdin looks at the beginning of standard input, and returns a reader that begins
// there again.
func lookAtStdin(r io.Reader) (bool, io.Reader) {
	if f, ok := r.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
			at, err := f.Seek(0, io.SeekCurrent)
			if err == nil {
				is, err := maillog.LookAt(io.NewSectionReader(f, at, info.Size()))
				return is && err == nil, f
			}
		}
	}
	br := bufio.NewReaderSize(r, maxFirstLine)
	is, err := maillog.LookAt(bytes.NewReader(firstLines(br)))
	return is && err == nil, br
}

// maxFirstLine bounds the first line that is waited for, in octets.
const maxFirstLine = 256 << 10

// firstLines returns what can be read without waiting for more than the first line.
func firstLines(br *bufio.Reader) []byte {
	for had := 0; ; {
		if _, err := br.Peek(had + 1); err != nil {
			all, _ := br.Peek(br.Buffered())
			return all
		}
		all, _ := br.Peek(br.Buffered())
		if bytes.IndexByte(all[had:], '\n') >= 0 {
			return all
		}
		had = len(all)
	}
}
