#!/bin/bash
# The guest's first process. The host's root is there, read-only; what is written goes to memory. Settings come from the
# kernel's command line: peerage_{home,node,modules,suites}, suites as NAME:SECONDS,… The end of it is the end of the guest.
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH HOME=/root LANG=C.UTF-8
RESULTS=/dev/ttyS1

end() {
  echo b >/proc/sysrq-trigger
  sleep 60
}
trap end EXIT

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mountpoint -q /dev || mount -t devtmpfs devtmpfs /dev
# The checkout, or Node, may lie in a folder that others are to find empty.
keep=("$peerage_home" "$(dirname "$peerage_node")")
for i in "${!keep[@]}"; do
  mkdir "/dev/keep$i"
  mount --bind "${keep[i]}" "/dev/keep$i"
done
for folder in /tmp /run /var/tmp /var/log /var/lib /root /mnt; do
  [[ -d $folder && ! -L $folder ]] && mount -t tmpfs tmpfs "$folder"
done
for i in "${!keep[@]}"; do
  [[ -d ${keep[i]} ]] && continue
  mkdir -p "${keep[i]}"
  mount --bind "/dev/keep$i" "${keep[i]}"
done
mkdir -p /run/netns /run/lock
stty -F "$RESULTS" raw

# What programs and the kernel itself ask for is found as on any machine, without a word about folders.
mkdir /run/bin
printf '#!/bin/bash\nexec /sbin/modprobe -d %q "$@"\n' "$peerage_modules" >/run/bin/modprobe
chmod +x /run/bin/modprobe
echo /run/bin/modprobe >/proc/sys/kernel/modprobe
PATH=/run/bin:$PATH
ip link set lo up
date +'guest up: %T, kernel '"$(uname -r)"

IFS=, read -ra suites <<<"$peerage_suites"
for suite in "${suites[@]}"; do
  name=${suite%:*} seconds=${suite#*:}
  cd "$peerage_home" || exit
  timeout --signal=KILL "$seconds" "$peerage_node" build/interop/vm/runSuite.js "$name" "$RESULTS"
  status=$?
  ((status == 0)) || echo "suite $name ended with $status (137: after its $seconds seconds)"
  printf '{"suite":"%s","ended":%s}\n' "$name" "$status" >"$RESULTS"
done
date +'guest down: %T'
