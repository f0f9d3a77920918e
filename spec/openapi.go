package spec

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// OpenAPI describes the REST interface for tools, as an OpenAPI 3.1.0 document.
// The same contract gives the same bytes.
//
// Each answer has a schema for each version that has it, under the version's
// media type; application/json stands for a request that names no version. The
// member x-versions lists the versions that have an answer or a parameter. What
// lies below /pac lies below /retail, too.
func (r REST) OpenAPI() []byte {
	d := describer{r: r, named: map[string]string{}, written: map[string]bool{}}
	data, err := json.Marshal(d.document(), jsontext.WithIndent("  "))
	if err != nil {
		panic(fmt.Sprintf("spec: the description of REST cannot be written: %v", err))
	}
	return append(data, '\n')
}

// SchemaNames returns the names that the schemas of the objects have in the
// description, by the name of the object and the version, as in transaction.v0.
func (r REST) SchemaNames() map[string]string {
	d := describer{r: r, named: map[string]string{}, written: map[string]bool{}}
	d.document()
	return d.named
}

// A tree is a JSON object whose members keep their order.
type tree []branch

type branch struct {
	name  string
	value any
}

// with adds a member, unless its value says nothing.
func (t tree) with(name string, value any) tree {
	switch v := value.(type) {
	case string:
		if v == "" {
			return t
		}
	case int:
		if v == 0 {
			return t
		}
	case []string:
		if len(v) == 0 {
			return t
		}
	case tree:
		if len(v) == 0 {
			return t
		}
	case []any:
		if len(v) == 0 {
			return t
		}
	case *int64:
		if v == nil {
			return t
		}
	}
	return append(t, branch{name, value})
}

// MarshalJSONTo writes the members in their order.
func (t tree) MarshalJSONTo(enc *jsontext.Encoder) error {
	if err := enc.WriteToken(jsontext.BeginObject); err != nil {
		return err
	}
	for _, b := range t {
		if err := enc.WriteToken(jsontext.String(b.name)); err != nil {
			return err
		}
		if err := json.MarshalEncode(enc, b.value); err != nil {
			return err
		}
	}
	return enc.WriteToken(jsontext.EndObject)
}

// A describer writes the document. Schemas are named as they are met.
type describer struct {
	r       REST
	named   map[string]string // by object and version
	schemas tree
	written map[string]bool // names of schemas
	shared  []shared        // refusals, which many endpoints have
}

// A shared response is described once.
type shared struct {
	name, text string
	is         tree
}

func (d *describer) document() tree {
	var paths tree
	items := map[string]int{}
	for _, e := range d.r.endpoints {
		i, ok := items[e.Path]
		if !ok {
			i = len(paths)
			items[e.Path] = i
			paths = append(paths, branch{e.Path, tree{}})
		}
		item := paths[i].value.(tree)
		for n, method := range e.Methods {
			item = append(item, branch{strings.ToLower(method), d.operation(e, n)})
		}
		paths[i].value = item
	}
	for _, b := range slices.Clone(paths) {
		if rest, ok := strings.CutPrefix(b.name, "/pac/"); ok {
			ref := "#/paths/" + strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D").Replace(b.name)
			paths = append(paths, branch{"/retail/" + rest, tree{{"$ref", ref}}})
		}
	}
	for _, o := range d.r.objects { // the data of events, which no answer names
		if o.Event != "" {
			for _, v := range o.Versions {
				d.ref(o.Name, v)
			}
		}
	}
	return tree{
		{"openapi", "3.1.0"},
		{"info", tree{
			{"title", "Connect REST API, as Tillwire speaks it"},
			{"version", "2.0.0"},
			{"description", d.r.about},
			{"license", tree{{"name", "Apache 2.0"}, {"identifier", "Apache-2.0"}}},
		}},
		{"servers", []any{tree{
			{"url", "http://127.0.0.1:8484"},
			{"description", "tillwire serve --dev, with the key demo"},
		}}},
		{"security", []any{tree{{"key", []any{}}}}},
		{"tags", []any{
			tree{{"name", string(PAC)}, {"description", "Pay-At-Counter"}},
			tree{{"name", string(PAT)}, {"description", "Pay-At-Table, in v0 and v1"}},
		}},
		{"paths", paths},
		{"components", tree{
			{"schemas", d.schemas},
			{"responses", d.responsesNamed()},
			{"parameters", d.parametersNamed()},
			{"headers", d.headersNamed()},
			{"securitySchemes", tree{{"key", tree{
				{"type", "http"},
				{"scheme", "basic"},
				{"description", "The site's key is the password. The user name may be anything."},
			}}}},
		}},
	}
}

// operation describes the n-th method of an endpoint.
func (d *describer) operation(e RESTEndpoint, n int) tree {
	id := e.Name
	if n > 0 {
		id += strconv.Itoa(n + 1) // operations of one endpoint mean the same
	}
	t := tree{
		{"operationId", id},
		{"summary", e.Title},
		{"description", e.About},
		{"tags", []string{string(e.Side)}},
	}
	t = t.with("parameters", d.parameters(e))
	if e.Body != "" {
		var content tree
		for _, v := range slices.Backward(e.Versions) {
			content = append(content, branch{MediaType(v), d.media(e, e.Body, v, 0)})
		}
		content = append(content, branch{mediaJSON, d.media(e, e.Body, e.Default(false), 0)[:1]})
		t = append(t, branch{"requestBody", tree{{"required", true}, {"content", content}}})
	}
	return append(t, branch{"responses", d.responses(e)})
}

const mediaJSON = "application/json"

// MediaType is what a version of the REST interface is asked for by.
func MediaType(version string) string { return "application/connect." + version + "+json" }

// Default is the version that a request gets which names none, below /pac or
// /pat, or by the old name /retail.
func (e RESTEndpoint) Default(retail bool) string {
	switch {
	case slices.ContainsFunc(e.Answers, func(a RESTAnswer) bool { return a.Stream }):
		return V2
	case retail:
		return V0
	}
	return V1
}

// parameters refers to the parameters of an endpoint.
func (d *describer) parameters(e RESTEndpoint) []any {
	var out []any
	for _, name := range e.Parameters {
		out = append(out, tree{{"$ref", "#/components/parameters/" + name}})
	}
	for _, h := range d.r.headers {
		if h.To == "gateway" && (h.Common || slices.Contains(e.Headers, h.Name)) {
			out = append(out, tree{{"$ref", "#/components/parameters/" + h.Name}})
		}
	}
	return out
}

func (d *describer) parametersNamed() tree {
	var out tree
	for _, p := range d.r.parameters {
		schema := tree{{"type", p.Type}}.with("enum", d.words(p.Enum, V2)).with("minimum", p.Minimum)
		out = append(out, branch{p.Name, tree{
			{"name", p.Name},
			{"in", p.In},
			{"required", p.In == "path"},
			{"description", p.Text + inVersions(p.Versions)},
			{"x-versions", p.Versions},
			{"schema", schema},
			{"example", typed(p.Type, p.Example)},
		}})
	}
	for _, h := range d.r.headers {
		if h.To != "gateway" {
			continue
		}
		text := h.Text
		if len(h.Required) > 0 {
			text += " Required in " + and(h.Required) + "."
		}
		out = append(out, branch{h.Name, tree{
			{"name", h.Name},
			{"in", "header"},
			{"required", len(h.Required) == len(RESTVersions())},
			{"description", text},
			{"schema", headerSchema(h)},
			{"example", typed(h.Type, h.Example)},
		}})
	}
	return out
}

func (d *describer) headersNamed() tree {
	var out tree
	for _, h := range d.r.headers {
		if h.To == "till" {
			out = append(out, branch{h.Name, tree{
				{"description", h.Text},
				{"required", len(h.Required) > 0},
				{"schema", headerSchema(h)},
				{"example", typed(h.Type, h.Example)},
			}})
		}
	}
	return out
}

func headerSchema(h RESTHeader) tree {
	return tree{{"type", h.Type}}.with("enum", h.Values).with("minLength", h.MinLength).with("maxLength", h.MaxLength).
		with("minimum", h.Minimum).with("pattern", h.Pattern).with("format", h.Format)
}

// inVersions says in which versions something is, unless it is in all of them.
func inVersions(has []string) string {
	if len(has) == len(RESTVersions()) {
		return ""
	}
	return " In " + and(has) + " only."
}

func and(words []string) string {
	last := len(words) - 1
	if last == 0 {
		return words[0]
	}
	return strings.Join(words[:last], ", ") + " and " + words[last]
}

// typed is an example as the type has it.
func typed(kind, example string) any {
	switch kind {
	case "integer":
		if n, err := strconv.ParseInt(example, 10, 64); err == nil {
			return n
		}
	case "boolean":
		return example == "true"
	}
	return example
}

// A response gathers what an endpoint answers with one status.
type response struct {
	status  int
	when    []string
	headers []string
	bodies  map[string][]string // the objects, by version
	empty   []string            // the versions that have no body
	stream  bool
	errors  map[string][]RESTError // by version
}

// versions are those that answer with the status.
func (r *response) versions() []string {
	return slices.DeleteFunc(RESTVersions(), func(v string) bool { return len(r.bodies[v]) == 0 && !slices.Contains(r.empty, v) })
}

func (d *describer) responses(e RESTEndpoint) tree {
	byStatus := map[int]*response{}
	of := func(status int) *response {
		if byStatus[status] == nil {
			byStatus[status] = &response{status: status, bodies: map[string][]string{}, errors: map[string][]RESTError{}}
		}
		return byStatus[status]
	}
	for _, a := range e.Answers {
		r := of(a.Status)
		when := a.When
		if len(a.Versions) < len(e.Versions) {
			when = and(a.Versions) + ": " + when
		}
		r.when = append(r.when, when)
		r.headers = append(r.headers, a.Headers...)
		r.stream = r.stream || a.Stream
		for _, v := range a.Versions {
			if a.Body == "" {
				r.empty = append(r.empty, v)
			} else {
				r.bodies[v] = append(r.bodies[v], a.Body)
			}
		}
	}
	for _, v := range RESTVersions() {
		for _, refused := range d.r.Refusals(e, v) {
			r := of(refused.Status)
			if !slices.Contains(r.when, refused.When) {
				r.when = append(r.when, refused.When)
			}
			if !slices.Contains(r.bodies[v], refused.Body) {
				r.bodies[v] = append(r.bodies[v], refused.Body)
			}
			r.errors[v] = append(r.errors[v], refused)
		}
	}
	var statuses []int
	for status := range byStatus {
		statuses = append(statuses, status)
	}
	slices.Sort(statuses)
	var out tree
	for _, status := range statuses {
		out = append(out, branch{strconv.Itoa(status), d.share(status, d.response(e, byStatus[status]))})
	}
	return out
}

// share gives a refusal a name under which others that are the same find it.
func (d *describer) share(status int, is tree) tree {
	if status < 400 {
		return is
	}
	n, text := 0, textOf(is)
	for _, s := range d.shared {
		if s.text == text {
			return tree{{"$ref", responsesAt + s.name}}
		}
		if strings.HasPrefix(s.name, strconv.Itoa(status)) {
			n++
		}
	}
	name := strconv.Itoa(status)
	if n > 0 {
		name += "." + strconv.Itoa(n+1)
	}
	d.shared = append(d.shared, shared{name, text, is})
	return tree{{"$ref", responsesAt + name}}
}

const responsesAt = "#/components/responses/"

func (d *describer) responsesNamed() tree {
	var out tree
	for _, s := range d.shared {
		out = append(out, branch{s.name, s.is})
	}
	return out
}

func (d *describer) response(e RESTEndpoint, r *response) tree {
	var headers, content tree
	for _, h := range d.r.headers {
		if h.To != "till" || !h.Common && !slices.Contains(h.Statuses, r.status) && !slices.Contains(r.headers, h.Name) {
			continue
		}
		headers = append(headers, branch{h.Name, tree{{"$ref", "#/components/headers/" + h.Name}}})
	}
	for _, v := range slices.Backward(RESTVersions()) {
		if len(r.bodies[v]) > 0 {
			content = append(content, branch{MediaType(v), d.answer(e, r, v)})
		}
	}
	// Without a version it is that of /pac and /pat, or that of /retail.
	var forms []any
	var plain tree
	for _, retail := range []bool{false, true} {
		v := e.Default(retail)
		if len(r.bodies[v]) == 0 || retail && e.Side != PAC {
			continue
		}
		plain = d.answer(e, r, v)[:1] // its examples stand above
		if form := plain[0].value; !slices.ContainsFunc(forms, func(f any) bool { return textOf(f) == textOf(form) }) {
			forms = append(forms, form)
		}
	}
	switch {
	case len(forms) == 1:
		content = append(content, branch{mediaJSON, plain})
	case len(forms) > 1:
		content = append(content, branch{mediaJSON, tree{{"schema", tree{{"anyOf", forms}}}}})
	}
	if r.stream {
		content = tree{{"text/event-stream", tree{{"schema", tree{
			{"type", "string"},
			{"description", "Server-sent events: " + d.events() + "."},
		}}}}}
	}
	return tree{{"description", strings.Join(r.when, " ")}, {"x-versions", r.versions()}}.with("headers", headers).with("content", content)
}

// answer describes a body of an answer.
func (d *describer) answer(e RESTEndpoint, r *response, version string) tree {
	if len(r.bodies[version]) == 1 {
		return d.media(e, r.bodies[version][0], version, r.status, r.errors[version]...)
	}
	var forms []any
	for _, body := range r.bodies[version] {
		forms = append(forms, tree{{"$ref", d.ref(body, version)}})
	}
	return tree{{"schema", tree{{"anyOf", forms}}}}
}

// media describes a body with its valid examples, which of a refusal are one for
// each error; status is 0 for what a till sends.
func (d *describer) media(e RESTEndpoint, body, version string, status int, refusals ...RESTError) tree {
	var examples tree
	for _, refused := range refusals {
		text := refused.Text(version, "tid", "12345678", "currency", "EUR", "fault", "amount is required.", "limit", "transactions at once")
		examples = append(examples, branch{lowerFirst(refused.Name), tree{{"value", refused.form(version, text)}}})
	}
	for _, ex := range e.Examples {
		if len(refusals) == 0 && ex.Valid && ex.Status == status && slices.Contains(ex.Versions, version) {
			examples = append(examples, branch{ex.Name, tree{{"summary", ex.Title}, {"value", jsontext.Value(ex.Text)}}})
		}
	}
	return tree{{"schema", tree{{"$ref", d.ref(body, version)}}}}.with("examples", examples)
}

// form is an example of the error's body.
func (e RESTError) form(version, text string) tree {
	if version == V2 {
		return tree{{"userMessage", text}}
	}
	const table = "https://gateway.example/pat/tables/12"
	t := tree{{"messages", tree{{"error", []string{text}}}}}
	switch {
	case e.Body == "error":
	case version == V0:
		t = append(t, branch{"location", []string{table}})
	default:
		t = append(t, branch{"location", table})
	}
	return t
}

func lowerFirst(s string) string { return strings.ToLower(s[:1]) + s[1:] }

// events names the events of a stream and their data.
func (d *describer) events() string {
	var out []string
	for _, o := range d.r.objects {
		if o.Event != "" {
			out = append(out, o.Event+" with the schema "+strings.TrimPrefix(d.ref(o.Name, V2), schemasAt))
		}
	}
	return strings.Join(out, ", ") + ", and finished with the schema " + strings.TrimPrefix(d.ref("transaction", V2), schemasAt)
}

const schemasAt = "#/components/schemas/"

// ref names the schema of an object in a version, and sees to it that it is in
// the document. One that is the same in all versions has the object's name,
// others that and the newest version that has it.
func (d *describer) ref(object, version string) string {
	key := object + "." + version
	if name, ok := d.named[key]; ok {
		return schemasAt + name
	}
	o, ok := d.r.Object(object)
	if !ok || !slices.Contains(o.Versions, version) {
		panic(fmt.Sprintf("spec: there is no %s in %s", object, version))
	}
	newest := map[string]string{} // version, by the text of the schema
	texts := map[string]string{}  // and the reverse
	for _, v := range o.Versions {
		texts[v] = textOf(d.schema(o, v))
		newest[texts[v]] = v
	}
	for _, v := range o.Versions {
		name := object
		if len(newest) > 1 {
			name += "." + newest[texts[v]]
		}
		d.named[object+"."+v] = name
		if !d.written[name] {
			d.written[name] = true
			d.schemas = append(d.schemas, branch{name, jsontext.Value(texts[v])})
		}
	}
	return schemasAt + d.named[key]
}

// textOf is a part of the document as it is written.
func textOf(part any) string {
	data, err := json.Marshal(part)
	if err != nil {
		panic(fmt.Sprintf("spec: the description of REST cannot be written: %v", err))
	}
	return string(data)
}

// schema describes an object in a version.
func (d *describer) schema(o RESTObject, version string) tree {
	fields := d.r.FieldsIn(o, version)
	by := o.By
	depend := d.dependent(o, version)
	if o.Finished != "" {
		finished, _ := d.r.Object(o.Finished)
		fields = append(slices.Clone(fields), d.r.FieldsIn(finished, version)...)
		by = finished.By
	}
	var properties tree
	var required []string
	for _, f := range fields {
		properties = append(properties, branch{f.Name, d.field(f, version)})
		if f.required(version) && !isOf(depend, f.Name) {
			required = append(required, f.Name)
		}
	}
	return tree{{"title", o.Title}, {"type", "object"}}.with("required", required).with("properties", properties).
		with("dependentRequired", depend).with("allOf", d.conditions(fields, by, version))
}

func (f RESTField) required(version string) bool {
	return f.Required || slices.Contains(f.RequiredIn, version)
}

func isOf(t tree, name string) bool {
	return slices.ContainsFunc(t, func(b branch) bool { return b.name == name })
}

// dependent says which fields come together: those of a finished object all at
// once, and some of them while a signature is awaited.
func (d *describer) dependent(o RESTObject, version string) tree {
	if o.Finished == "" || slices.Contains(o.FinishedIn, version) {
		return nil
	}
	finished, _ := d.r.Object(o.Finished)
	var signing, needed []string
	if slices.Contains(o.SigningIn, version) {
		signing = o.Signing
	}
	var out tree
	for _, f := range d.r.FieldsIn(finished, version) {
		if f.required(version) && f.Name != o.FinishedBy {
			needed = append(needed, f.Name)
		}
	}
	for _, f := range d.r.FieldsIn(finished, version) {
		switch {
		case f.Name == o.FinishedBy:
			out = append(out, branch{f.Name, needed})
		case slices.Contains(signing, f.Name):
			others := slices.DeleteFunc(slices.Clone(signing), func(s string) bool { return s == f.Name })
			out = append(out, branch{f.Name, others})
		default:
			out = append(out, branch{f.Name, []string{o.FinishedBy}})
		}
	}
	for _, f := range d.r.FieldsIn(o, version) {
		if !f.required(version) {
			out = append(out, branch{f.Name, []string{o.FinishedBy}})
		}
	}
	return out
}

// conditions say which fields come with which value of the field by.
func (d *describer) conditions(fields []RESTField, by, version string) []any {
	if by == "" {
		return nil
	}
	var words []string
	for _, f := range fields {
		if f.Name == by {
			words = d.words(f.Enum, version)
		}
	}
	are := func(values []string) tree {
		values = slices.DeleteFunc(slices.Clone(values), func(s string) bool { return !slices.Contains(words, s) })
		return tree{{"required", []string{by}}, {"properties", tree{{by, tree{{"enum", values}}}}}}
	}
	var out []any
	for _, f := range fields {
		if len(f.RequiredFor) > 0 {
			out = append(out, tree{{"if", are(f.RequiredFor)}, {"then", tree{{"required", []string{f.Name}}}}})
		}
		nothing := any(false)
		switch f.Type {
		case "integer":
			nothing = tree{{"const", 0}}
		case "boolean":
			nothing = tree{{"const", false}}
		}
		if len(f.OnlyFor) > 0 {
			out = append(out, tree{{"if", are(f.OnlyFor)}, {"else", tree{{"properties", tree{{f.Name, nothing}}}}}})
		}
		if len(f.NotFor) > 0 {
			out = append(out, tree{{"if", are(f.NotFor)}, {"then", tree{{"properties", tree{{f.Name, nothing}}}}}})
		}
	}
	return out
}

// field describes a field in a version.
func (d *describer) field(f RESTField, version string) tree {
	about := tree{}.with("description", f.Text)
	word := func(minLength, maxLength int) tree {
		words := d.words(f.Enum, version)
		if f.Empty {
			words = append(words, "")
		}
		t := tree{{"type", "string"}}.with("enum", words).with("minLength", minLength).with("maxLength", maxLength)
		if len(f.Not) > 0 {
			t = append(t, branch{"not", tree{{"enum", f.Not}}})
		}
		return t
	}
	one := func() tree {
		if f.Of == "string" {
			return word(f.ItemMinLength, f.ItemMaxLength)
		}
		return tree{{"$ref", d.ref(f.Of, version)}}
	}
	switch f.Type {
	case "object":
		return append(one(), about...)
	case "array":
		return slices.Concat(tree{{"type", "array"}, {"items", one()}}.with("minItems", f.MinItems).with("maxItems", f.MaxItems), about)
	case "map":
		return slices.Concat(tree{{"type", "object"}, {"additionalProperties", one()}}, about)
	case "string":
		t := word(f.MinLength, f.MaxLength).with("pattern", f.Pattern).with("format", f.Format)
		return slices.Concat(t, about, examples(f))
	default:
		t := tree{{"type", f.Type}}.with("minimum", f.Minimum).with("maximum", f.Maximum)
		return slices.Concat(t, about, examples(f))
	}
}

func examples(f RESTField) tree {
	if f.Example == "" {
		return nil
	}
	return tree{{"examples", []any{typed(f.Type, f.Example)}}}
}

// words are those of a list in a version, none without a list.
func (d *describer) words(enum, version string) []string {
	if enum == "" {
		return nil
	}
	e, ok := d.r.Enum(enum)
	if !ok {
		panic("spec: there is no enum " + enum)
	}
	return e.In(version)
}
