"""The other side of the start-up benchmark: a stock Debian cloud-style machine with systemd, cloud-init and docker.io.

Made of the same suite as our guest, booted by the same QEMU with the same accelerator, CPUs and memory, and spared the
firmware's menu and the boot loader (its kernel is started directly), which flatters it. Needs root: the packages are
installed for real.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

SUITE = "forky"
PACKAGES = (
    "systemd-sysv", "udev", "dbus", "cloud-init", "netplan.io", "systemd-resolved", "openssh-server", "docker.io",
    "docker-cli", "iptables", "ca-certificates", "initramfs-tools", "linux-image-cloud-amd64",
)  # fmt: skip
READY = "bench: docker answers"
_UNIT = f"""[Unit]
After=docker.service
Requires=docker.service
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'docker ps > /dev/null && echo "{READY} $(cut -d" " -f1 /proc/uptime)" > /dev/ttyS0'
[Install]
WantedBy=multi-user.target
"""
_TIMEOUT_S = 600


@dataclass(frozen=True)
class Stock:
    """The machine's files."""

    kernel: Path
    initrd: Path
    disk: Path


def build(directory: Path, *, allow_stale: bool) -> Stock:
    """Make the machine in `directory`, or find it there."""
    stock = Stock(directory / "vmlinuz", directory / "initrd", directory / "disk.raw")
    if stock.disk.exists():
        return stock
    directory.mkdir(parents=True, exist_ok=True)
    root = directory / "root"
    shutil.rmtree(root, ignore_errors=True)
    command = ["mmdebstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}"]
    command.append('--aptopt=APT::Install-Recommends "false"')
    if allow_stale:
        command.append('--aptopt=Acquire::Check-Valid-Until "false"')
    subprocess.run([*command, SUITE, str(root)], check=True, timeout=_TIMEOUT_S, stdin=subprocess.DEVNULL)
    units = root / "etc/systemd/system"
    (units / "bench.service").write_text(_UNIT)
    (units / "multi-user.target.wants").mkdir(exist_ok=True)
    (units / "multi-user.target.wants/bench.service").symlink_to("../bench.service")
    seed = root / "var/lib/cloud/seed/nocloud"
    seed.mkdir(parents=True)
    (seed / "meta-data").write_text("instance-id: bench\nlocal-hostname: bench\n")
    (seed / "user-data").write_text("#cloud-config\n{}\n")
    (root / "etc/fstab").write_text("/dev/vda / ext4 defaults 0 1\n")
    shutil.copy(next((root / "boot").glob("vmlinuz-*")), stock.kernel)
    shutil.copy(next((root / "boot").glob("initrd.img-*")), stock.initrd)
    raw = directory / "disk.new"
    with raw.open("wb") as file:
        file.truncate(6 * 1024**3)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-d", str(root), str(raw)], check=True, timeout=_TIMEOUT_S)
    shutil.rmtree(root)
    raw.rename(stock.disk)
    return stock


def boot(stock: Stock, directory: Path, *, cpus: int, memory_mib: int) -> tuple[float, float]:
    """Boot a copy once. Returns (seconds of wall clock, the guest's uptime) when `docker ps` was answered in it."""
    disk = directory / "stock-run.qcow2"
    disk.unlink(missing_ok=True)
    make = ["qemu-img", "create", "-q", "-f", "qcow2", "-b", str(stock.disk), "-F", "raw", str(disk)]
    subprocess.run(make, check=True)
    console = directory / "stock-console.log"
    begun = time.monotonic()
    process = subprocess.Popen(
        [
            "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
            "-machine", "q35", "-accel", "tcg,thread=multi,tb-size=512", "-cpu", "max",
            "-smp", str(cpus), "-m", f"{memory_mib}M", "-kernel", str(stock.kernel), "-initrd", str(stock.initrd),
            "-append", "root=/dev/vda rw console=ttyS0 quiet net.ifnames=0 ds=nocloud",
            "-drive", f"if=none,id=d,file={disk},discard=unmap", "-device", "virtio-blk-pci,drive=d",
            "-netdev", "user,id=n", "-device", "virtio-net-pci,netdev=n,romfile=", "-device", "virtio-rng-pci",
            "-serial", f"file:{console}",
        ]
    )  # fmt: skip
    try:
        while time.monotonic() - begun < _TIMEOUT_S:
            text = console.read_text(errors="replace") if console.exists() else ""
            if found := re.search(READY + r" ([\d.]+)", text):
                return time.monotonic() - begun, float(found.group(1))
            if process.poll() is not None:
                raise RuntimeError(f"the stock machine ended:\n{text[-2000:]}")
            time.sleep(0.1)
        raise RuntimeError(f"the stock machine did not come up:\n{text[-2000:]}")
    finally:
        process.kill()
        process.wait(timeout=20)
        disk.unlink(missing_ok=True)


def cache() -> Path:
    """Where the machine is kept between runs."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "wherry" / "bench-stock"
