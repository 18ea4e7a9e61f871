#!/bin/bash
# Installs, on Debian, the programs that the lab, the interoperability tests and the benchmarks run. Does nothing when
# they are there. Needs root. Services of freshly installed packages are not started: the tests start their own.
set -euo pipefail

declare -A package=(
  [bird]=bird2 [gobgpd]=gobgpd [/usr/lib/frr/bgpd]=frr [/usr/sbin/bgpctl]=openbgpd
  [ip]=iproute2 [tcpdump]=tcpdump [ping]=iputils-ping [nft]=nftables
  [faketime]=faketime [sysctl]=procps
  # Names of protocols, by which nft prints them.
  [/etc/protocols]=netbase
)
missing=()
for program in "${!package[@]}"; do
  [[ $program == /* && -e $program ]] || command -v "$program" >/dev/null || missing+=("${package[$program]}")
done
((${#missing[@]} == 0)) && exit 0

if ((EUID != 0)); then
  echo "need root to install ${missing[*]}: run 'apt-get install ${missing[*]}', or call make as root" >&2
  exit 1
fi
echo "installing: ${missing[*]}" >&2

policy=/usr/sbin/policy-rc.d
if [[ ! -e $policy ]]; then
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod +x "$policy"
  trap 'rm -f "$policy"' EXIT
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
