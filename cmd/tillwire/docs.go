package main

import (
	"fmt"
	"net/url"

	"github.com/tillwire/tillwire/site/docs"
)

type docsCmd struct {
	Build docsBuildCmd `cmd:"" help:"Write all pages below a folder."`
}

// Help is shown with the command's own help.
func (docsCmd) Help() string {
	return `A gateway serves the same pages at /docs/.

Example:

    tillwire docs build ./public`
}

type docsBuildCmd struct {
	Dir string `arg:"" type:"path" help:"The folder. It is made if it is not there; files of the same names are replaced, others stay."`
	URL string `name:"url" placeholder:"URL" help:"Address at which the folder will be served, for sitemap.xml, which is left out without."`
}

// Help is shown with the command's own help.
func (docsBuildCmd) Help() string {
	return `Links are relative, so the folder can be served from any place, or be read
from disk; there, search needs a web server.

Example:

    tillwire docs build ./public --url https://docs.example.com/`
}

// Run writes the pages.
func (c docsBuildCmd) Run(s streams) error {
	if c.URL != "" {
		if u, err := url.Parse(c.URL); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return usage("--url %q: want an address as in https://docs.example.com/", c.URL)
		}
	}
	site, err := docs.Build(docs.Options{Ending: ".html", Base: c.URL})
	if err != nil {
		return err
	}
	n, err := site.Write(c.Dir)
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "wrote %d pages, %d files: %s\n", len(site.Pages()), n, c.Dir)
	return nil
}
