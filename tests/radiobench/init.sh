#!/bin/busybox sh
# The first program in the virtual machine: mounts the host's files, read-only under a throw-away layer, and goes on there.
/bin/busybox --install -s /bin
mount -t proc proc /proc && mount -t sysfs sys /sys && mount -t devtmpfs dev /dev
for module in /modules/*; do insmod "$module" || echo "no $module"; done
mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=loose,ro root /lower || exec sh
mount -t tmpfs -o size=1g tmpfs /upper && mkdir /upper/files /upper/aside
mount -t overlay -o lowerdir=/lower,upperdir=/upper/files,workdir=/upper/aside overlay /new
for name in proc sys dev; do mkdir -p "/new/$name"; mount --move "/$name" "/new/$name"; done
bench=$(sed -n 's/.*bench=\([^ ]*\).*/\1/p' /new/proc/cmdline)
out=$(sed -n 's/.*out=\([^ ]*\).*/\1/p' /new/proc/cmdline)
mkdir -p "/new$out" && mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000 out "/new$out"
exec switch_root /new /bin/sh "$bench/guest.sh" "$out"
