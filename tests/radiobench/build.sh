#!/bin/sh
# Make DIR/vmlinuz, DIR/initrd and DIR/kernel/: Debian's own kernel, with mac80211_hwsim, for a virtual machine whose
# root is this computer's own files, read-only. Downloads one package; nothing is installed by it.
set -eu
dir=$1
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$dir" && cd "$dir"
if [ ! -d kernel ]; then
    package=$(apt-cache depends linux-image-amd64 | awk '/Depends: linux-image/ {print $2; exit}')
    apt-get download -qq "$package"
    mkdir kernel.new && dpkg-deb -x ./linux-image-*.deb kernel.new && rm ./linux-image-*.deb && mv kernel.new kernel
fi
version=$(ls kernel/lib/modules)
depmod -b kernel "$version"
cp "kernel/boot/vmlinuz-$version" vmlinuz

rm -rf tree && mkdir -p tree/bin tree/modules tree/proc tree/sys tree/dev tree/lower tree/upper tree/new
cp "$(command -v busybox)" tree/bin/busybox
for module in virtio_pci 9p 9pnet_virtio overlay; do
    modprobe -d "$PWD/kernel" -S "$version" --show-depends "$module" | awk '/^insmod/ {print $2}' | while read -r file; do
        name=$(basename "$file")
        ls tree/modules | grep -q -- "-$name$" && continue
        count=$(ls tree/modules | wc -l)
        cp "$file" "tree/modules/$(printf %03d "$count")-$name"
    done
done
cp "$here/init.sh" tree/init && chmod 755 tree/init
(cd tree && find . | cpio -o -H newc --quiet | gzip -1) > initrd
