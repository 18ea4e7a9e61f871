#!/bin/bash
# Installs, on Debian, the programs that the lab, the interoperability tests and the benchmarks run. Does nothing when
# they are there. Needs root.
set -euo pipefail

declare -A package=(
  [bird]=bird2 [gobgpd]=gobgpd [/usr/lib/frr/bgpd]=frr [/usr/sbin/bgpctl]=openbgpd
  [ip]=iproute2 [tcpdump]=tcpdump [ping]=iputils-ping [nft]=nftables
)
missing=()
for program in "${!package[@]}"; do
  command -v "$program" >/dev/null || missing+=("${package[$program]}")
done
if ((${#missing[@]})); then
  echo "installing: ${missing[*]}" >&2
  if ((EUID != 0)); then
    echo "need root to install ${missing[*]}: run 'apt-get install ${missing[*]}' or call make as root" >&2
    exit 1
  fi
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi
