#!/bin/bash
# Builds the oracle of network policies (interop/policy/cyclonus) once, into .cache/cyclonus; a change of it builds again.
set -euo pipefail
cd "$(dirname "$0")/.."

go=$(command -v go || echo /usr/local/go/bin/go)
if ! "$go" version >/dev/null 2>&1; then
  echo "the oracle of network policies is built with Go 1.26 or newer: install it (https://go.dev/dl) and have 'go' in PATH" >&2
  exit 1
fi
key=$(cat interop/policy/cyclonus/* scripts/buildCyclonus.sh | sha256sum | cut -c1-16)
folder=$PWD/.cache/cyclonus
if [[ ! -x $folder/cyclonus-$key ]]; then
  echo "building Cyclonus (once; a minute or two) …" >&2
  mkdir -p "$folder"
  (cd interop/policy/cyclonus && CGO_ENABLED=0 "$go" build -trimpath -buildvcs=false -ldflags '-s -w' -o "$folder/new-$key" .)
  mv "$folder/new-$key" "$folder/cyclonus-$key"
fi
ln -sfn "cyclonus-$key" "$folder/cyclonus"
