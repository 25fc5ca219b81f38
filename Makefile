# What Headgate's developers run. Go is all that has to be there: `make test` installs the rest (Debian, Homebrew, npm).

SHELL       := /bin/bash
.SHELLFLAGS := -o pipefail -c
GO          ?= go
FUZZTIME    ?= 10s
TESTTIMEOUT ?= 30m
BENCHFLAGS  ?=

# The directory of every Go module in the tree, the root's first.
modules := $(sort $(dir $(shell git ls-files -- go.mod '*/go.mod' | grep -v testdata/)))

golangci_version := v2.15.0
golangci := .cache/bin/golangci-lint-$(golangci_version)

# What make test runs with the race detector in intercept/pgproxy: what goes on at the same time. The package's tests
# are thousands of sessions with real servers, which take half an hour with it; make race runs them all.
concurrent := TestApproval|TestCancel|TestClientLeaves|TestCopyIn|TestServerVanishes|TestServerDies|TestFastPath|TestGoodbye|TestHalfOpen|TestSessionsDoNotMix|TestLoopWait|TestReactor

.PHONY: help test race compat test-servers check fmt vet lint bench fuzz cover deps clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

test: test-servers ## run all tests of all modules, with the race detector where it can see something; install what they need
	@status=0; \
	for dir in $(modules); do \
		echo "== $$dir: go test -race"; \
		(cd $$dir && HEADGATE_REQUIRE_SERVERS=1 $(GO) test -race -timeout $(TESTTIMEOUT) $$($(GO) list ./... | grep -v /intercept/pgproxy$$)) || status=1; \
	done; \
	echo "== go test ./intercept/pgproxy"; \
	HEADGATE_REQUIRE_SERVERS=1 $(GO) test -timeout $(TESTTIMEOUT) ./intercept/pgproxy || status=1; \
	echo "== what goes on at the same time: go test -race ./intercept/pgproxy"; \
	HEADGATE_REQUIRE_SERVERS=1 $(GO) test -race -timeout $(TESTTIMEOUT) -run '^($(concurrent))' ./intercept/pgproxy || status=1; \
	echo "== without cgo: go test ./intercept/pgproxy/..."; \
	HEADGATE_REQUIRE_SERVERS=1 CGO_ENABLED=0 $(GO) test -timeout $(TESTTIMEOUT) ./intercept/pgproxy/internal/... || status=1; \
	HEADGATE_REQUIRE_SERVERS=1 CGO_ENABLED=0 $(GO) test -timeout $(TESTTIMEOUT) -run 'TestPgxQuery|TestMasked|TestRefusal' ./intercept/pgproxy || status=1; \
	exit $$status

race: test-servers ## run all tests of the PostgreSQL interceptor with the race detector; takes long
	HEADGATE_REQUIRE_SERVERS=1 $(GO) test -race -timeout 90m ./intercept/pgproxy

compat: test-servers ## run what make test runs a part of: all of pgx's own tests, 500 sessions that leave
	HEADGATE_COMPAT=1 HEADGATE_REQUIRE_SERVERS=1 $(GO) test -v -count 1 -timeout $(TESTTIMEOUT) -run 'TestPgxSuite|TestLeavingAtAnyTime' ./intercept/pgproxy

test-servers: ## install the servers and client programs that tests run, where they are missing
	@internal/testserver/install.sh

check: fmt vet lint test ## everything that must hold before a change goes in

fmt: ## fail if a file is not gofmt-ed
	@files=$$(git ls-files '*.go' | xargs gofmt -l) && if [ -n "$$files" ]; then echo "not gofmt-ed:"; echo "$$files"; exit 1; fi

vet: ## go vet in all modules
	@status=0; for dir in $(modules); do (cd $$dir && $(GO) vet ./...) || status=1; done; exit $$status

lint: $(golangci) ## golangci-lint in all modules
	@status=0; for dir in $(modules); do (cd $$dir && $(CURDIR)/$(golangci) run --allow-parallel-runners --config $(CURDIR)/.golangci.yml ./...) || status=1; done; exit $$status

$(golangci):
	GOBIN=$(CURDIR)/.cache/bin $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(golangci_version)
	mv .cache/bin/golangci-lint $@

bench: test-servers ## compare the gateway with a direct connection and a plain TCP copy
	$(GO) run ./internal/pgbenchmark $(BENCHFLAGS)

fuzz: ## run every fuzz target for FUZZTIME
	@GO=$(GO) FUZZTIME=$(FUZZTIME) .ci/fuzz $(modules)

cover: test-servers ## write .cache/cover.out and print the coverage of each function
	@mkdir -p .cache
	HEADGATE_REQUIRE_SERVERS=1 $(GO) test -timeout $(TESTTIMEOUT) -coverpkg ./... -coverprofile .cache/cover.out ./...
	$(GO) tool cover -func .cache/cover.out

deps: ## write testdata/deps.txt anew after a dependency has changed
	$(GO) test -run TestLinkedModules . -update-deps

clean: ## remove what the other targets installed and built in this tree
	rm -rf .cache
