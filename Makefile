# Every target does its own set-up: dependencies by npm ci, daemons by apt-get (scripts/setup.sh). Needs Node >= 20.
SHELL := /bin/bash
TOR ?= bird
KUBE ?=
ARGS ?=
FUZZ_SECONDS ?= 600

.PHONY: help lab test test-kube test-vm bench bench-kube bench-proxy bench-policy bench-tenants fuzz interop build types lint layers check format schema clean setup
.DEFAULT_GOAL := help

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-13s %s\n", $$1, $$2 }'

lab: setup build ## three nodes, a ToR, real sessions and packets (TOR=bird|peerage, KUBE=1, ARGS=--check)
	@$(if $(KUBE),scripts/buildKube.sh)
	@node build/lab/main.js --tor $(TOR) $(if $(KUBE),--kube) $(ARGS)

test: setup build ## every test (ARGS='unit kernel' for some suites)
	@node build/scripts/testAll.js $(ARGS)

test-kube: setup build ## against the real Kubernetes API server, and Cyclonus, built once with Go (minutes)
	@scripts/buildKube.sh
	@scripts/buildCyclonus.sh
	@node build/scripts/testAll.js kube

test-vm: setup build ## in a qemu guest whose kernel has IPIP, FOU, IPVS and dummy links (minutes)
	@scripts/fetchGuestKernel.sh
	@node build/scripts/testAll.js vm

interop: setup build ## sessions with BIRD, GoBGP, FRR and OpenBGPD
	@node build/scripts/testAll.js interop

fuzz: node_modules/.installed ## mutated and random messages for FUZZ_SECONDS
	PEERAGE_FUZZ_SECONDS=$(FUZZ_SECONDS) npx jest --selectProjects=fuzz --runInBand

bench: setup build ## against BIRD 2 and GoBGP, side by side (ARGS='--quick', '--md', '--only NAME')
	@node build/bench/main.js $(ARGS)

bench-kube: node_modules/.installed build ## a large cluster's sync, memory and latency, from the real API server (ARGS='--generated', '--url URL')
	@bench/kube/etcd/build.sh
	@node build/bench/kube/main.js $(ARGS)

bench-proxy: setup build ## the service proxy beside the real kube-proxy (ARGS='--services N --endpoints M', '--no-comparison')
	@$(if $(findstring --no-comparison,$(ARGS)),,scripts/buildKube.sh && bench/kube/etcd/build.sh)
	@node build/bench/proxy/main.js $(ARGS)

bench-policy: setup build ## network policies of a large cluster on one node, and what they cost packets (ARGS='--policies N')
	@node --expose-gc build/bench/policy/main.js $(ARGS)

bench-tenants: node_modules/.installed build ## the derivation of tenants for a large cluster (ARGS='NAMESPACES PODS')
	@node --expose-gc build/bench/tenants.js $(ARGS)

check: types lint layers ## types, lint and the arrows between folders

types: node_modules/.installed
	npm run --silent types

lint: node_modules/.installed
	npm run --silent lint

layers: node_modules/.installed
	npm run --silent layers

format: node_modules/.installed ## prettier and what eslint can mend
	npm run --silent format

schema: build ## docs/config.schema.json from the code
	node build/scripts/writeSchema.js

build: node_modules/.installed ## dist/ (the package) and build/ (lab, interop, benchmarks)
	@echo 'compiling …'
	@npm run --silent build
	@npm run --silent build:tools

setup: node_modules/.installed
	@scripts/setup.sh

clean: ## remove what was built
	rm -rf dist build test-results

node_modules/.installed: package.json package-lock.json
	npm ci --no-audit --no-fund
	@touch $@
