#!/bin/bash
# Fetches a Debian kernel into .cache/guest, once, for the tests in a qemu guest (interop/vm); it is not installed. Installs,
# on Debian, the programs that run the guest when they are missing, which needs root. Says what is missing otherwise.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() {
  echo "$1" >&2
  exit 1
}

[[ $(uname -m) == x86_64 ]] || fail "the guest is an x86-64 machine with the host's own programs: it cannot run on $(uname -m)"

declare -A package=(
  [qemu-system-x86_64]=qemu-system-x86 [/usr/lib/qemu/virtiofsd]=qemu-system-common [depmod]=kmod [xz]=xz-utils
  [ip]=iproute2 [ping]=iputils-ping [nft]=nftables [ipvsadm]=ipvsadm
)
# From Debian 13 on virtiofsd is a package of its own.
[[ -x /usr/libexec/virtiofsd ]] && unset 'package[/usr/lib/qemu/virtiofsd]'
missing=()
for program in "${!package[@]}"; do
  command -v "$program" >/dev/null || missing+=("${package[$program]}")
done
updated=
update() {
  [[ -n $updated ]] || apt-get update -qq
  updated=1
}
if ((${#missing[@]} > 0)); then
  ((EUID == 0)) || fail "need root to install ${missing[*]}: run 'apt-get install ${missing[*]}', or call make as root"
  echo "installing: ${missing[*]}" >&2
  policy=/usr/sbin/policy-rc.d
  if [[ ! -e $policy ]]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
    trap 'rm -f "$policy"' EXIT
  fi
  update
  if [[ " ${missing[*]} " == *' qemu-system-common '* && -n $(apt-cache search --names-only '^virtiofsd$') ]]; then
    missing+=(virtiofsd)
  fi
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

cache=.cache/guest/unpacked
[[ -e $cache/current/vmlinuz && -e $cache/current/lib/modules ]] && exit 0

# The package that a release's own name for "the kernel for clouds" stands for: 6.12 in Debian 12 and 13.
kernel_package() {
  local name found
  for name in linux-image-6.12-cloud-amd64 linux-image-cloud-amd64; do
    found=$(apt-cache depends "$name" 2>/dev/null | sed -n 's/^ *Depends: \(linux-image-[0-9].*\)$/\1/p')
    if [[ -n $found ]]; then
      echo "${found%%$'\n'*}"
      return
    fi
  done
}

echo 'fetching a kernel for the guest (once; 34 MB) …' >&2
name=$(kernel_package)
if [[ -z $name ]]; then
  update
  name=$(kernel_package)
fi
[[ -n $name ]] || fail "apt knows no package linux-image-6.12-cloud-amd64: the guest needs a Debian kernel"
mkdir -p "$cache"
rm -rf "$cache"/new && mkdir "$cache"/new
download() {
  (cd "$cache/new" && apt-get download -qq -o APT::Sandbox::User=root "$name")
}
# Lists that are old name versions that are gone.
if ! download; then
  update
  download || fail "cannot fetch $name"
fi
dpkg -x "$cache"/new/*.deb "$cache"/new
rm "$cache"/new/*.deb
version=${name#linux-image-}
ln -s "boot/vmlinuz-$version" "$cache/new/vmlinuz"
# The guest would take a second or two over each.
find "$cache/new/lib/modules" -name '*.ko.xz' -exec xz -d {} +
depmod -b "$PWD/$cache/new" "$version"
rm -rf "${cache:?}/$version"
mv "$cache/new" "$cache/$version"
ln -sfn "$version" "$cache/current"
