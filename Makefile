# Every target does its own set-up: dependencies by npm ci, daemons by apt-get (scripts/setup.sh).
SHELL := /bin/bash
TOR ?= bird
ARGS ?=

.PHONY: lab test bench fuzz build lint types layers check clean setup

node_modules/.installed: package.json package-lock.json
	npm ci --no-audit --no-fund
	@touch $@

build: node_modules/.installed
	npm run --silent build
	npm run --silent build:tools

setup: node_modules/.installed
	scripts/setup.sh

lab: setup build
	node build/lab/main.js --tor $(TOR) $(ARGS)

test: setup build
	node build/scripts/testAll.js $(ARGS)

fuzz: node_modules/.installed
	PEERAGE_FUZZ_SECONDS=$${SECONDS_TO_RUN:-600} npx jest --selectProjects fuzz

bench: setup build
	node build/bench/main.js $(ARGS)

lint: node_modules/.installed
	npm run --silent lint

types: node_modules/.installed
	npm run --silent types

layers: node_modules/.installed
	npm run --silent layers

check: types lint layers

clean:
	rm -rf dist build test-results
