// Package tillwire holds the texts of this repository that its pages are made
// of: guides, glossary, changelog, the examples, and the conversations that the
// gateway is tested with. They are given out as they are, so that what a reader
// sees is the file that the tests ran. The product is in cmd/tillwire.
package tillwire

import (
	"embed"
	"io/fs"
)

//go:embed CHANGELOG.md GLOSSARY.md docs/*.md
//go:embed examples/go/main.go examples/node/till.mjs examples/node/tables.mjs
//go:embed examples/python/till.py examples/python/tables.py examples/browser/index.html
//go:embed gateway/testdata/scenario/*.txt
var texts embed.FS

// Texts gives the files by their paths in the repository.
func Texts() fs.FS { return texts }
