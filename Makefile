# photovault: make help lists the targets.
SHELL       := /bin/bash
GO          ?= go
BIN         := bin/photovault
VERSION     ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
# The shipped binary carries the certified FIPS 140-3 module; go.mod enforces it (fips140=only).
export GOFIPS140 := certified
export CGO_ENABLED ?= 0
# Without this tag the binary opens no HEIC: the decoder's package would load the system's libheif.
export GOFLAGS += -tags=nodynamic
LDFLAGS     := -s -w -X main.version=$(VERSION)
PHOTO       ?=
STORES      ?= embedded
FUZZTIME    ?= 30s
ROUNDS      ?= 500
SEEDS       ?= 200
# Requests of the bleed test under the race detector, which is some thirty times slower; it needs a C compiler.
RACED       ?= 10000

.DEFAULT_GOAL := help
.PHONY: help demo run build test check bench fuzz soak fmt devstack devstack-down

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build bin/photovault
	@mkdir -p bin
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN) ./cmd/photovault

demo: build ## walk one photo from tablet to release and back (PHOTO=path for your own JPEG; STORES=real for production stores)
ifeq ($(STORES),real)
	@cd deploy/devstack && $(GO) run . up >/dev/null
	@set -e; dir=$$(mktemp -d); trap 'rm -rf "$$dir"' EXIT; (cd deploy/devstack && $(GO) run . -out "$$dir" config >/dev/null); \
	  $(GO) run ./deploy/demo -binary $(BIN) -config "$$dir/config.yaml" $(if $(PHOTO),-photo '$(PHOTO)')
else
	@$(GO) run ./deploy/demo -binary $(BIN) $(if $(PHOTO),-photo '$(PHOTO)')
endif

run: build ## make a vault in ./.run if there is none, and serve it
	@test -e .run/client.json || $(BIN) init --home .run
	@echo; echo 'In another shell:  export PHOTOVAULT_HOME=$(CURDIR)/.run PHOTOVAULT_TOKEN=$$(cat $(CURDIR)/.run/admin.token); $(BIN) user add "Your Name" --role provider'; echo
	@$(BIN) serve --home .run

test: ## run the tests; PHOTOVAULT_REQUIRE=all turns what is left out into failures
	@deploy/test.sh

check: ## format, vet, lint, layers, vulnerabilities, generated files, docs
	@deploy/check.sh

bench: ## run the benchmarks, each with its floor or peer
	$(GO) test -run '^$$' -bench . -benchmem ./...

fuzz: ## run every fuzz target for FUZZTIME
	@set -e; for pkg in $$($(GO) list ./...); do \
	  for f in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
	    echo "== $$pkg $$f"; $(GO) test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) $$pkg; done; done

soak: build ## SEEDS simulated runs, kill -9 ROUNDS times, a tenth as often each fault of disk, stores and replicas, and what api has of long tests; print what was lost
	PHOTOVAULT_SIM_SEEDS=$(SEEDS) $(GO) test -count 1 -timeout 60m -v -run '^TestSoak|Lies' ./vault/simulation
	cd cmd/photovault && PHOTOVAULT_SOAK_ROUNDS=$(ROUNDS) $(GO) test -count 1 -timeout 4h -run '^TestSoak'
	PHOTOVAULT_SOAK_ROUNDS=$(ROUNDS) $(GO) test -count 1 -timeout 60m -v -run '^TestSoak' ./api
	CGO_ENABLED=1 PHOTOVAULT_SOAK_BLEED=$(RACED) $(GO) test -race -count 1 -timeout 60m -v -run '^TestSoakBleed' ./api

devstack: ## real servers on loopback for the tests: HashiCorp Vault, MinIO, versitygw, PostgreSQL (first time: ten minutes)
	@cd deploy/devstack && $(GO) run . up

devstack-down: ## stop them and remove their data
	@cd deploy/devstack && $(GO) run . down

fmt: ## format the sources
	gofmt -w $$(git ls-files '*.go')
