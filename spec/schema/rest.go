package schema

import (
	"bytes"
	"fmt"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/tillwire/tillwire/spec"
)

// A REST validator judges bodies of the REST interface by the schemas of its
// description, closed: fields that those do not know are faults, for an answer
// must hold none and a request is to be told of them. It may be used by many
// goroutines at once.
type REST struct {
	compiled map[string]*jsonschema.Schema // by the name in the description
	names    map[string]string             // by object and version
}

// NewREST compiles the schemas of a description and checks each against the
// metaschema of JSON Schema 2020-12, which is that of OpenAPI 3.1.
func NewREST(r spec.REST) (*REST, error) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(r.OpenAPI()))
	if err != nil {
		return nil, fmt.Errorf("schema: the description of REST: %w", err)
	}
	schemas, err := closeSchemas(doc)
	if err != nil {
		return nil, err
	}
	const at = base + "openapi.json"
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	c.UseLoader(noLoader{})
	if err := c.AddResource(at, doc); err != nil {
		return nil, fmt.Errorf("schema: the description of REST: %w", err)
	}
	v := &REST{compiled: map[string]*jsonschema.Schema{}, names: r.SchemaNames()}
	for name := range schemas {
		if v.compiled[name], err = c.Compile(at + "#/components/schemas/" + name); err != nil {
			return nil, fmt.Errorf("schema: %s of the description of REST: %w", name, err)
		}
	}
	return v, nil
}

// closeSchemas makes each object of the description refuse fields that it does
// not name, and returns them all.
func closeSchemas(doc any) (map[string]any, error) {
	for _, name := range []string{"components", "schemas"} {
		parent, ok := doc.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("schema: the description of REST has nothing to hold its %s", name)
		}
		doc = parent[name]
	}
	schemas, _ := doc.(map[string]any)
	for name, s := range schemas {
		object, ok := s.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("schema: %s of the description of REST is no object", name)
		}
		object["additionalProperties"] = false
	}
	return schemas, nil
}

// Check judges a body as an object of REST in a version. It returns the faults
// in the order of their places, none if the body fits. The error is [ErrNotJSON]
// or [ErrNoSchema].
func (v *REST) Check(object, version string, text []byte) ([]Fault, error) {
	name, ok := v.names[object+"."+version]
	if !ok {
		return nil, fmt.Errorf("%w: %s in %s", ErrNoSchema, object, version)
	}
	return check(v.compiled[name], text)
}

// CheckNamed is Check by the name that a schema has in the description.
func (v *REST) CheckNamed(name string, text []byte) ([]Fault, error) {
	s, ok := v.compiled[name]
	if !ok {
		return nil, fmt.Errorf("%w: %s", ErrNoSchema, name)
	}
	return check(s, text)
}
