package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"go/importer"
	"go/token"
	"go/types"
	"io"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the listings below docs/api anew")

const module = "github.com/bounce-milter/bounce-milter"

// library are the packages of which every exported name is promised. Of other
// packages the names are promised that these lead to: classify hands out
// rules.Rule.
var library = []string{"classify", "classify/dsn", "classify/mailbox", "classify/maillog", "classify/origin", "classify/reply"}

func TestListings(t *testing.T) {
	l := listing{promised: map[string]bool{}, named: map[types.Object]types.Object{}, seen: map[types.Object]bool{}, lines: map[string][]string{}}
	packages := load(t)
	for _, p := range library {
		l.promised[module+"/"+p] = true
	}
	var names []types.Object
	for _, p := range library {
		scope := packages[module+"/"+p].Scope()
		for _, name := range scope.Names() {
			if o := scope.Lookup(name); o.Exported() {
				names = append(names, o)
			}
		}
	}
	for _, o := range names {
		if n, ok := types.Unalias(o.Type()).(*types.Named); ok && n.Obj() != o && isType(o) {
			l.named[n.Obj()] = o
		}
	}
	for _, o := range names {
		l.object(o)
	}
	for _, p := range l.problems {
		t.Error(p)
	}
	for p, lines := range l.lines {
		slices.Sort(lines)
		hold(t, path.Base(p), strings.Join(slices.Compact(lines), "\n")+"\n")
	}
	files, err := filepath.Glob("../../docs/api/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if name := strings.TrimSuffix(filepath.Base(f), ".txt"); !slices.ContainsFunc(slices.Collect(maps.Keys(l.lines)), func(p string) bool { return path.Base(p) == name }) {
			t.Errorf("%s lists a package that is no longer promised", f)
		}
	}
}

// hold compares a listing with its file, or writes it.
func hold(t *testing.T, name, got string) {
	file := filepath.Join("..", "..", "docs", "api", name+".txt")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got == string(want) {
		return
	}
	old, now := strings.Split(string(want), "\n"), strings.Split(got, "\n")
	for _, line := range old {
		if !slices.Contains(now, line) {
			t.Errorf("%s: importers lose: %s", name, line)
		}
	}
	for _, line := range now {
		if !slices.Contains(old, line) {
			t.Errorf("%s: not listed: %s", name, line)
		}
	}
	t.Errorf("if this is meant, run go test ./internal/api -update and say it in CHANGELOG.md")
}

// load returns the packages of the module, as the compiler exports them.
func load(t *testing.T) map[string]*types.Package {
	cmd := exec.Command("go", "list", "-export", "-deps", "-json=ImportPath,Export", "./classify/...")
	cmd.Dir, cmd.Stderr = "../..", new(bytes.Buffer)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("listing packages: %v: %s", err, cmd.Stderr)
	}
	exports := map[string]string{}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct{ ImportPath, Export string }
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		exports[p.ImportPath] = p.Export
	}
	imp := importer.ForCompiler(token.NewFileSet(), "gc", func(p string) (io.ReadCloser, error) { return os.Open(exports[p]) })
	packages := map[string]*types.Package{}
	for p := range exports {
		if strings.HasPrefix(p, module+"/classify") {
			if packages[p], err = imp.Import(p); err != nil {
				t.Fatal(err)
			}
		}
	}
	return packages
}

// listing collects what importers may use, and what they could not.
type listing struct {
	promised map[string]bool               // packages
	named    map[types.Object]types.Object // types that importers know by an alias, with that
	seen     map[types.Object]bool
	lines    map[string][]string // by package
	problems []string
}

func (l *listing) add(pkg *types.Package, format string, args ...any) {
	l.lines[pkg.Path()] = append(l.lines[pkg.Path()], fmt.Sprintf(format, args...))
}

// object lists an exported name, and whatever its type leads to.
func (l *listing) object(o types.Object) {
	if l.seen[o] {
		return
	}
	l.seen[o] = true
	pkg := o.Pkg()
	switch o := o.(type) {
	case *types.Const:
		l.add(pkg, "const %s %s = %s", o.Name(), l.write(o, o.Type()), o.Val())
	case *types.Var:
		l.add(pkg, "var %s %s", o.Name(), l.write(o, o.Type()))
		l.problems = append(l.problems, fmt.Sprintf("%s.%s is a variable, which any importer could change for all: make it a function", pkg.Name(), o.Name()))
	case *types.Func:
		l.add(pkg, "func %s%s", o.Name(), strings.TrimPrefix(l.write(o, o.Type()), "func"))
	case *types.TypeName:
		if n, ok := types.Unalias(o.Type()).(*types.Named); ok {
			l.declared(o, n)
		}
	}
}

// declared lists a type under its name or an alias: what it is, its fields, its
// methods.
func (l *listing) declared(o *types.TypeName, n *types.Named) {
	pkg, name := o.Pkg(), o.Name()
	switch u := n.Underlying().(type) {
	case *types.Struct:
		l.add(pkg, "type %s struct", name)
		for i := range u.NumFields() {
			if f := u.Field(i); f.Exported() {
				l.add(pkg, "%s", strings.TrimSpace(fmt.Sprintf("type %s struct, %s %s %s", name, f.Name(), l.write(o, f.Type()), u.Tag(i))))
			}
		}
	default:
		l.add(pkg, "type %s %s", name, l.write(o, u))
	}
	for m := range n.Methods() {
		if !m.Exported() {
			continue
		}
		star := ""
		if _, ok := m.Signature().Recv().Type().(*types.Pointer); ok {
			star = "*"
		}
		l.add(pkg, "method (%s%s) %s%s", star, name, m.Name(), strings.TrimPrefix(l.write(o, m.Type()), "func"))
	}
}

// write writes a type as importers would, having followed it.
func (l *listing) write(from types.Object, t types.Type) string {
	l.leads(from, t)
	s := types.TypeString(t, func(p *types.Package) string {
		if p == from.Pkg() {
			return ""
		}
		return p.Name()
	})
	for o, alias := range l.named {
		if alias.Pkg() == from.Pkg() {
			s = strings.ReplaceAll(s, o.Pkg().Name()+"."+o.Name(), alias.Name())
		}
	}
	return s
}

func isType(o types.Object) bool {
	_, ok := o.(*types.TypeName)
	return ok
}

// leads follows a type to the names that it is made of.
func (l *listing) leads(from types.Object, t types.Type) {
	switch t := t.(type) {
	case *types.Named:
		o := t.Obj()
		switch {
		case o.Pkg() == nil || l.seen[o] || l.named[o] != nil:
		case !strings.HasPrefix(o.Pkg().Path(), module+"/"):
			if strings.Contains(strings.SplitN(o.Pkg().Path(), "/", 2)[0], ".") {
				l.problems = append(l.problems, fmt.Sprintf("%s.%s shows %s, a type of another module", from.Pkg().Name(), from.Name(), t))
			}
		case strings.Contains(o.Pkg().Path(), "/internal/") || !o.Exported():
			l.problems = append(l.problems, fmt.Sprintf("%s.%s shows %s, which importers cannot name", from.Pkg().Name(), from.Name(), t))
		case !l.promised[o.Pkg().Path()]: // else its turn comes
			l.object(o)
		}
		for arg := range t.TypeArgs().Types() {
			l.leads(from, arg)
		}
	case *types.Alias:
		l.leads(from, t.Rhs())
	case *types.Pointer:
		l.leads(from, t.Elem())
	case *types.Slice:
		l.leads(from, t.Elem())
	case *types.Array:
		l.leads(from, t.Elem())
	case *types.Chan:
		l.leads(from, t.Elem())
	case *types.Map:
		l.leads(from, t.Key())
		l.leads(from, t.Elem())
	case *types.Tuple:
		for v := range t.Variables() {
			l.leads(from, v.Type())
		}
	case *types.Signature:
		l.leads(from, t.Params())
		l.leads(from, t.Results())
	case *types.Struct:
		for f := range t.Fields() {
			if f.Exported() {
				l.leads(from, f.Type())
			}
		}
	case *types.Interface:
		for m := range t.ExplicitMethods() {
			l.leads(from, m.Type())
		}
	}
}
