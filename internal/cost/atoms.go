package cost

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
)

// Signs are small pieces of text that readers and rules branch at.
var Signs = []string{
	" ", "\n", "\n\n", "\r", "\t", "-", "--", "---", "=", "=?", "?=", "_", ".", "..", ",", ";", ":", "::", "!", "@", "a@", "@a", "a@a ", "#", "|", "\\", "\"", "'", "`",
	"(", ")", "()", "[", "]", "[]", "{", "}", "<", ">", "<>", "<a@a>", "<u%d@example.com>", "u%d@example.com", "u%d@example.com\n", "<u%d@a.b>:\n", "\"@", "\\\"@", "@[", "[192.0.2.1]",
	"a", "A", "aa", "e", "x.", "a.b", "a.com ", "http://", "://", "//", "www.", "%d", "5", "4", "550", "550 ", "550-", "\n550-", "\n550 ", "\n550-5.1.1 ", "5.1.1", "550 5.1.1 ", "#5.1.1", "421 ", ": 550 ", "\n<<< 550-", "\n<<< ", "\n>>> ", "\n>>> RCPT TO:",
	"é", "\xff", "\xe3\x81", "ﾞ", "\u212a", "\u0130", "\u2019", "\u201c", "\u200b", "\uff15\uff15\uff10", "\U0001f600", "\x1b$B08@h\x1b(B", "\x00", "\x7f",
	"=?utf-8?q?a?=", "=?utf-8?q?a?= ", "=?big5?b?pKQ=?= ", "=?euc-kr?b?sKE=?= ", "=?hz-gb-2312?q?~{VP~}?= ", "=?utf-16?b?/v8A?= ", "=?iso-2022-jp?b?GyRCMEIbKEI=?= ", "=?x?b?", "=?utf-8?q?",
	"<p>", "</p>", "<p", "<br>", "<table><tr><td>", "&amp;", "&#53;", "&", "<!--", "<script>", "<title>", "<a href=\"", "=0A", "=\n", "=C3=A9", "AAAA", "NTUwIA==",
	"\n--b", "\n--b--", "\n--b\n", "\n--b\nContent-Type: multipart/mixed; boundary=c\n\n--c\n", "\n--", "\nContent-Type: ", "\nContent-Type: message/rfc822\n\n", "\nX: y", "\nA:", "\nTo: ", "\nSubject: ", "\nReceived: ",
	"\nFinal-Recipient: rfc822; u%d@example.com", "\nAction: failed", "\nStatus: 5.0.0", "\nDiagnostic-Code: smtp; 550 ", "Action: ", "Status: ", "\nReporting-MTA: dns; a", "\nFeedback-Type: abuse\n",
	"failed ", "the ", "user unknown ", "said: ", " said: \"550 ", "host mx.example.com ", "-> ", "{\"a\":", "[[", "\\u0041",
}

var errNoRoot = errors.New("no go.mod above this folder")

// Root returns the folder of the module that the working directory is in.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errNoRoot
		}
		dir = parent
	}
}

// quotedString finds the strings of a TOML file.
var quotedString = regexp.MustCompile(`"(?:[^"\\\n]|\\.)+"|'[^'\n]+'`)

// Atoms reads the strings of all rules and of all data about notices: phrases,
// expressions and examples. A stranger can write whichever is most expensive.
func Atoms(root string) ([]string, error) {
	seen := map[string]bool{}
	var atoms []string
	for _, dir := range []string{"classify/dsn", "classify/rules"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, _ fs.DirEntry, err error) error {
			if err != nil || filepath.Ext(path) != ".toml" {
				return err
			}
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			for _, q := range quotedString.FindAllString(string(data), -1) {
				s, err := strconv.Unquote(q)
				if err != nil {
					s = q[1 : len(q)-1]
				}
				if len(s) > 1 && !seen[s] {
					seen[s] = true
					atoms = append(atoms, s+" ")
				}
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("reading phrases: %w", err)
		}
	}
	return atoms, nil
}
