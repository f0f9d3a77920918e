// Package spec is the Connect contract as data. Of the WebSockets it holds, for
// each message, its draft-04 schemas under their published file names, a text on
// what lies beyond them, and examples; of the REST interface, for each endpoint,
// what it takes and answers in each version, a text and examples, of which
// [REST.OpenAPI] makes a description for tools. Besides there are the tables of
// errors, notifications, results, time limits, receipt lines, virtual terminals,
// scenarios and test cards of simulated card machines and the integration
// checklist.
//
// The files are the authority and are read by everyone: tests, simulator,
// checker, command line and documentation pages. The package embeds them and
// gives a typed, read-only [Index]. It decodes no message, knows no rule that is
// not in a file and never validates; for that there is package spec/schema.
//
// # Layout
//
//	messages.json                the messages, in the order of the documentation
//	extensions.json, extensions/ what connections can opt in to, laid out alike
//	link/                        the messages of the terminal link, laid out alike
//	pac/<message>, pat/<message> one folder a message
//	    v1/*.json, v0/*.json     its schemas, by version of the contract
//	    about.md                 the rest, in prose
//	    examples.json            valid and invalid messages
//	errors.json, timers.json …   the tables
//	rest/*.json                  the tables of REST: endpoints, objects, errors …
//	rest/<endpoint>              one folder an endpoint, with text and examples
//
// An invalid example names the place of its one fault, a JSON pointer, and the
// schema keyword that it breaks. A missing or an unwanted member is named by the
// pointer it has or would have. Most are written as a valid example with a small
// edit; the index shows them whole.
package spec
