#!/bin/sh
# First process of the guest: finds the disk whose serial is "root", mounts it and hands over to its init.
# The host takes the first line below as the proof that this kernel runs on this accelerator.
echo "wherry: kernel alive"
mount -t devtmpfs -o mode=755 dev /dev
mount -t sysfs -o nosuid,noexec,nodev sys /sys
# The shell runs applets without looking for them on disk; one insmod takes one module.
for module in /m/*.ko; do
    insmod "$module"
done
tries=0
while :; do
    for disk in /sys/block/vd*; do
        serial=
        read -r serial 2>/dev/null <"$disk/serial"
        [ "$serial" = root ] && break 2
    done
    tries=$((tries + 1))
    if [ "$tries" -gt 200 ]; then
        echo "wherry: no disk has the serial \"root\"; the guest cannot start."
        # A kernel that panics with panic=-1 ends QEMU, and the host reads the line above.
        exit 1
    fi
    usleep 50000
done
if ! mount -t erofs -o ro "/dev/${disk##*/}" /root; then
    echo "wherry: the root disk ${disk##*/} cannot be mounted; the guest cannot start."
    exit 1
fi
mount --move /dev /root/dev
mount --move /sys /root/sys
exec switch_root /root /sbin/init
