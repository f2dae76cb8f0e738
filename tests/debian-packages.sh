#!/bin/sh
# What the tests of slow or privileged levels use beside Python, from Debian: `sh tests/debian-packages.sh` as root.
# Without them the README's test command passes all the same, and says what it left out.
set -eu
apt-get update -qq
# systemd: `systemd-analyze verify` of the shipped units
# chromium, and a font with Chinese: the page in a real browser
# zbar-tools: an independent reader for the barcodes of the command sheet
# the rest: the radio bench (tests/radiobench), a real Wi-Fi stack in a virtual machine
apt-get install -y -qq --no-install-recommends systemd zbar-tools chromium fonts-droid-fallback \
    qemu-system-x86 busybox-static cpio kmod network-manager wpasupplicant hostapd dnsmasq-base iw iproute2 udev dbus polkitd curl
