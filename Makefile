# `make test` is the whole check, the same here and in CI. It needs Go, a C
# compiler for the race detector, and for the examples Node and Python; what is
# missing it installs where it may (root on a system with apt-get), else it says
# what to install. `make help` lists the rest.

GO       ?= go
FUZZTIME ?= 10s
# Types of this module only: a switch over somebody else's type may leave cases
# out. A default case counts as an answer for the rest.
EXHAUSTIVE = -d -typeonly '^github.com/tillwire/tillwire/'
# cgo is for the race detector; what is shipped is built without it.
CROSS    ?= linux/amd64 windows/amd64 darwin/arm64

.DEFAULT_GOAL := help
.PHONY: help test setup format vet lint unit cross bench-build checklist examples build bench fuzz visits crash update

help: ## what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

test: ## everything that must hold: format, vet, lint, all tests with -race, cross-builds
	@$(MAKE) --no-print-directory setup format vet lint unit checklist cross bench-build

# $(call need,COMMAND,PACKAGES) installs Debian packages unless the command succeeds.
define need
	if ! $(1) >/dev/null 2>&1; then \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then \
			echo "installing $(2)"; \
			apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $(2) </dev/null >/dev/null; \
		else \
			echo "make: please install $(2) (the names are Debian's)" >&2; exit 1; \
		fi; \
	fi
endef

# The examples' tests use the same list of Pythons.
WEBSOCKETS = sh -c 'for p in "$$PYTHON" python3 /usr/bin/python3; do "$$p" -c "import websockets" && exit 0; done; exit 1'

# Names that internal/browser looks for.
CHROME = sh -c 'for c in "$$CHROMIUM" chromium chromium-browser google-chrome chrome; do [ -n "$$c" ] && command -v "$$c" && exit 0; done; exit 1'

setup: ## install what the tests need and is missing
	@$(call need,sh -c 'command -v cc',gcc libc6-dev)
	@$(call need,$(CHROME),chromium)
	@$(call need,sh -c 'command -v curl',curl)
	@if [ -d examples/python ]; then $(call need,$(WEBSOCKETS),python3-websockets); fi
	@if [ -d examples/node ]; then \
		$(call need,sh -c 'command -v node && command -v npm',nodejs npm); \
		[ examples/node/node_modules/.package-lock.json -nt examples/node/package-lock.json ] || \
			(cd examples/node && npm ci --no-fund --no-audit --loglevel=error </dev/null); \
	fi

format: ## fail if a file is not formatted
	@bad=$$($(GO) tool gofumpt -l .) && [ -z "$$bad" ] || { echo "not formatted (go tool gofumpt -w .):"; echo "$$bad"; exit 1; }

vet: ## go vet
	$(GO) vet ./...

lint: ## staticcheck, missing cases in switches, lock files
	$(GO) tool staticcheck ./...
	$(GO) tool exhaustive $(EXHAUSTIVE) ./...
	@for lock in examples/*/package-lock.json; do \
		[ -f "$$lock" ] || continue; \
		if grep '"resolved"' "$$lock" | grep -v '"https://registry.npmjs.org/'; then \
			echo "$$lock names another registry than npm's own"; exit 1; \
		fi; \
	done

unit: ## all tests with the race detector
	$(GO) test -race -timeout 20m ./...

cross: ## build for the systems that are shipped, without cgo
	@for target in $(CROSS); do \
		echo "build for $$target"; \
		CGO_ENABLED=0 GOOS=$${target%/*} GOARCH=$${target#*/} $(GO) build ./... || exit 1; \
	done

bench-build:
	@if [ -f bench/go.mod ]; then echo "build bench"; cd bench && $(GO) vet ./...; fi

# A part of `make test` that shows what a till's own CI would: the tests try more.
checklist: ## the tills of examples/go against the integration checklist; JUnit in bin/
	@mkdir -p bin && CGO_ENABLED=0 $(GO) build -o bin/ ./cmd/tillwire ./examples/go/counter ./examples/go/tables
	@rm -rf bin/checklist && mkdir bin/checklist
	@check() { \
		bin/tillwire check "$$@" --settle 50ms --limit 1m --data bin/checklist --junit bin/checklist-$$1.xml >bin/checklist/$$1.txt 2>&1 || \
			{ cat bin/checklist/$$1.txt; exit 1; }; \
		echo "bin/checklist-$$1.xml: $$(tail -n 1 bin/checklist/$$1.txt)"; \
	}; \
	check pac --cashier 1s --till-command 'bin/counter -data bin/checklist/counter' && \
	check pat --till-command 'bin/tables -data bin/checklist/tables'

examples: setup ## the examples against the real gateway
	$(GO) test -count=1 ./examples/...

build: ## bin/tillwire
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/tillwire ./cmd/tillwire

bench: ## the measurements; takes minutes and wants an idle machine
	$(GO) run ./cmd/tillwire bench
	@if [ -f bench/go.mod ]; then cd bench && $(GO) run .; fi

fuzz: ## every fuzz target for FUZZTIME (10s)
	@grep -rn --include='*_test.go' '^func Fuzz' . | sed 's/^\(.*\)\/[^/]*:[0-9]*:func \(Fuzz[A-Za-z0-9_]*\).*/\1 \2/' | sort | \
	while read -r dir target; do \
		echo "$$dir $$target"; \
		(cd "$$dir" && $(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) .) || exit 1; \
	done

VISITS ?= 10000
SEED   ?= 1
visits: ## VISITS (10000) random visits to tables, from SEED (1)
	cd gateway && $(GO) test -count=1 -timeout 30m -run TestRandomVisits -visits $(VISITS) -seed $(SEED)

N ?= 10
crash: ## N (10) kills of gateway and terminals under load, over a bad network; count the money; SEED repeats a schedule
	$(GO) run ./internal/crash -kills $(N) $(if $(filter command line environment,$(origin SEED)),-seed $(SEED))

update: ## rewrite generated files and golden files; read the diff before you commit it
	$(GO) generate ./...
	$(GO) test $$(grep -rl --include='*_test.go' 'flag.Bool("update"' . | xargs -n 1 dirname | sort -u) -args -update
