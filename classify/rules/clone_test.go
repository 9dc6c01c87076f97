package rules

import (
	"reflect"
	"testing"
)

// What an engine hands out is the caller's own: no list of a copy is that of the
// rule, whatever fields rules will have.
func TestCloneSharesNothing(t *testing.T) {
	var r Rule
	v := reflect.ValueOf(&r).Elem()
	for i := range v.NumField() {
		f, name := v.Field(i), v.Type().Field(i).Name
		switch f.Kind() {
		case reflect.Slice:
			f.Set(reflect.MakeSlice(f.Type(), 1, 1))
			item := f.Type().Elem()
			for j := 0; item.Kind() == reflect.Struct && j < item.NumField(); j++ {
				if !holdsItself(item.Field(j).Type) {
					t.Errorf("%s.%s: Clone copies no list within a list", name, item.Field(j).Name)
				}
			}
		default:
			if !holdsItself(f.Type()) {
				t.Errorf("%s: a %s is shared by copies", name, f.Kind())
			}
		}
	}
	c := reflect.ValueOf(r.Clone())
	for i := range v.NumField() {
		if f := v.Field(i); f.Kind() == reflect.Slice && f.Pointer() == c.Field(i).Pointer() {
			t.Errorf("%s is shared with the copy", v.Type().Field(i).Name)
		}
	}
}

// holdsItself reports whether a copy of a value is all its own.
func holdsItself(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.String, reflect.Int, reflect.Bool:
		return true
	}
	return false
}
