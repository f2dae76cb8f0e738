#!/bin/sh
# Inside the virtual machine: radios, Photons behind hostapd, a WPA2 uplink, real NetworkManager; then the scenarios.
out=$1
bench=$(cd "$(dirname "$0")" && pwd)
exec >"$out/guest.log" 2>&1
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
mount -t proc proc /proc 2>/dev/null
mkdir -p /dev/pts /dev/shm /run && mount -t tmpfs run /run && mount -t tmpfs shm /dev/shm
mkdir -p /run/netns /run/dbus /run/lock /run/NetworkManager /run/udev
ln -sf /proc/self/fd /dev/fd
mount -t tmpfs nmlib /var/lib/NetworkManager
ip link set lo up
. "$out/guest.env"
mkdir -p /lib/modules && mount --bind "$KERNEL/lib/modules" /lib/modules  # the kernel fetches its own ciphers
export OUT="$out"
python3 "$bench/guest.py" || echo "the scenarios ended with $?"
sync
echo done >"$out/done"
sync
busybox poweroff -f
