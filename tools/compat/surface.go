// Package compat compares the module in gorilla/ with github.com/gorilla/websocket, whose place it
// takes under programs that stay as they are. It compares the exported names (surface.go) and the
// behaviour that programs see (programs/), and runs the test suites of other people's programs
// (programs.sh).
package compat

import (
	"fmt"
	"go/types"
	"maps"
	"slices"
)

// A Surface is the set of names that programs can use of a package. Each has a description, which
// is the same for two packages if programs cannot tell them apart:
//
//	Conn.Close          method (*Conn)() error
//	Upgrader.Error      field func(net/http.ResponseWriter, …)
//	CloseGoingAway      const untyped int = 1001
type Surface map[string]string

// SurfaceOf lists the exported identifiers of a package, with the exported
// fields and methods of its types.
func SurfaceOf(pkg *types.Package) Surface {
	s := make(Surface)
	scope := pkg.Scope()
	for _, name := range scope.Names() {
		if obj := scope.Lookup(name); obj.Exported() {
			s.add(pkg, obj)
		}
	}
	return s
}

// Missing lists the names of s that another package lacks or has otherwise, a line each. Names that
// only the other one has break no program.
func (s Surface) Missing(other Surface) []string {
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(s)) {
		switch have, ok := other[name]; {
		case !ok:
			lines = append(lines, fmt.Sprintf("%s: missing, want %s", name, s[name]))
		case have != s[name]:
			lines = append(lines, fmt.Sprintf("%s: %s, want %s", name, have, s[name]))
		}
	}
	return lines
}

func (s Surface) add(pkg *types.Package, obj types.Object) {
	text := func(t types.Type) string { return types.TypeString(unnamed(t), qualifier(pkg)) }
	switch obj := obj.(type) {
	case *types.Const:
		s[obj.Name()] = "const " + text(obj.Type()) + " = " + obj.Val().ExactString()
	case *types.Var:
		s[obj.Name()] = "var " + text(obj.Type())
	case *types.Func:
		s[obj.Name()] = text(obj.Type())
	case *types.TypeName:
		s[obj.Name()] = kind(obj, text)
		s.addMembers(obj, text)
	}
}

// qualifier leaves out the names of pkg and of packages whose types pkg has aliases for. A program
// that names a type by its alias does not see the place of its declaration.
func qualifier(pkg *types.Package) types.Qualifier {
	own := map[*types.Package]bool{pkg: true}
	for _, name := range pkg.Scope().Names() {
		if alias, ok := pkg.Scope().Lookup(name).Type().(*types.Alias); ok {
			if named, ok := types.Unalias(alias).(*types.Named); ok && named.Obj().Name() == name {
				own[named.Obj().Pkg()] = true
			}
		}
	}
	return func(p *types.Package) string {
		if own[p] {
			return ""
		}
		return p.Path()
	}
}

// kind describes a type without its members. Interfaces are described with all of them: if one has
// a method more, no program's own type has all.
func kind(obj *types.TypeName, text func(types.Type) string) string {
	switch u := obj.Type().Underlying().(type) {
	case *types.Struct:
		if types.Comparable(u) { // programs compare such values, and have maps of them
			return "type struct, comparable"
		}
		return "type struct"
	default:
		return "type " + text(u)
	}
}

func (s Surface) addMembers(obj *types.TypeName, text func(types.Type) string) {
	if st, ok := obj.Type().Underlying().(*types.Struct); ok {
		for f := range st.Fields() {
			if f.Exported() {
				s[obj.Name()+"."+f.Name()] = "field " + text(f.Type())
			}
		}
	}
	if types.IsInterface(obj.Type()) {
		return
	}
	byValue := types.NewMethodSet(obj.Type())
	for m := range types.NewMethodSet(types.NewPointer(obj.Type())).Methods() {
		if !m.Obj().Exported() {
			continue
		}
		receiver := "*" + obj.Name()
		if byValue.Lookup(m.Obj().Pkg(), m.Obj().Name()) != nil {
			receiver = obj.Name()
		}
		s[obj.Name()+"."+m.Obj().Name()] = "method (" + receiver + ")" + text(m.Type())[len("func"):]
	}
}

// unnamed rebuilds a type without the parts that make no difference to a caller: names of
// parameters, and the spelling of the empty interface as any.
func unnamed(t types.Type) types.Type {
	switch t := types.Unalias(t).(type) {
	case *types.Signature:
		return types.NewSignatureType(nil, nil, nil, unnamedTuple(t.Params()), unnamedTuple(t.Results()), t.Variadic())
	case *types.Pointer:
		return types.NewPointer(unnamed(t.Elem()))
	case *types.Slice:
		return types.NewSlice(unnamed(t.Elem()))
	case *types.Array:
		return types.NewArray(unnamed(t.Elem()), t.Len())
	case *types.Map:
		return types.NewMap(unnamed(t.Key()), unnamed(t.Elem()))
	case *types.Chan:
		return types.NewChan(t.Dir(), unnamed(t.Elem()))
	case *types.Interface:
		return unnamedInterface(t)
	default:
		return t
	}
}

func unnamedTuple(t *types.Tuple) *types.Tuple {
	var vars []*types.Var
	for v := range t.Variables() {
		vars = append(vars, types.NewParam(0, nil, "", unnamed(v.Type())))
	}
	return types.NewTuple(vars...)
}

func unnamedInterface(t *types.Interface) types.Type {
	var methods []*types.Func
	for m := range t.Methods() { // of embedded interfaces, too
		methods = append(methods, types.NewFunc(0, m.Pkg(), m.Name(), unnamed(m.Type()).(*types.Signature)))
	}
	return types.NewInterfaceType(methods, nil).Complete()
}
