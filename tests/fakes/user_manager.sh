#!/bin/sh
# Run systemd's user manager where none runs, in a namespace of mounts: root, unshare -m. Its sockets: $XDG_RUNTIME_DIR.
set -e
umount -R /sys/fs/cgroup 2>/dev/null || umount -l /sys/fs/cgroup
mount -t cgroup2 none /sys/fs/cgroup
mount -t tmpfs none /run
mkdir -p /run/systemd/system # the sign that systemd was booted
group=/sys/fs/cgroup/wherry-test-$$
mkdir "$group"
trap 'rmdir "$group"/*.slice/*.service "$group"/*.slice "$group"/init.scope "$group" 2>/dev/null || :' EXIT
(
    sh -c 'echo $PPID' >"$group/cgroup.procs"
    exec "$1" --user --log-target=console --log-level=info
)
