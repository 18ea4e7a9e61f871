#!/bin/bash
# Builds the real kube-apiserver, kube-controller-manager and kube-proxy once, into .cache/kube, for the tests, the lab and the
# benchmarks that use them; and installs etcd. The first build takes minutes, mostly compiling; a change of versions builds again.
set -euo pipefail
cd "$(dirname "$0")/.."

go=$(command -v go || echo /usr/local/go/bin/go)
if ! "$go" version >/dev/null 2>&1; then
  echo "the real API server is built with Go 1.26 or newer: install it (https://go.dev/dl) and have 'go' in PATH" >&2
  exit 1
fi
if ! command -v etcd >/dev/null || ! command -v etcdctl >/dev/null; then
  if ((EUID != 0)); then
    echo "need root to install etcd: run 'apt-get install etcd-server etcd-client', or call make as root" >&2
    exit 1
  fi
  policy=/usr/sbin/policy-rc.d
  if [[ ! -e $policy ]]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
    trap 'rm -f "$policy"' EXIT
  fi
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends etcd-server etcd-client >/dev/null
fi

key=$(cat interop/kube/server/{go.mod,go.sum,main.go} scripts/buildKube.sh | sha256sum | cut -c1-16)
target=$PWD/.cache/kube/control-plane-$key
if [[ ! -x $target ]]; then
  echo "building Kubernetes' own programs (once; several minutes) …" >&2
  mkdir -p .cache/kube
  version=$(sed -n 's/^\tk8s.io\/kubernetes \(v[0-9.]*\)$/\1/p' interop/kube/server/go.mod)
  IFS=. read -r major minor _ <<<"${version#v}"
  flags="-s -w"
  for pair in "gitVersion=$version" "gitMajor=$major" "gitMinor=$minor"; do
    flags+=" -X k8s.io/component-base/version.$pair"
  done
  (cd interop/kube/server && CGO_ENABLED=0 "$go" build -trimpath -buildvcs=false -ldflags "$flags" -o "$target.new" .)
  mv "$target.new" "$target"
fi
ln -sfn "$(basename "$target")" .cache/kube/control-plane
