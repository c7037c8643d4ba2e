"""Boots an image with QEMU for the tests of this folder, and as a script prints how long each stage takes.

    python3 tests/vmimage/machine.py DIR [q35|microvm] [more QEMU arguments]

All files and sockets are in a private temporary directory; SSH is forwarded from loopback only.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

Q35 = ("-M", "q35,sata=off,smbus=off,usb=off,vmport=off,acpi=on,hpet=on", "-bios", "/usr/share/qemu/qboot.rom")
MICROVM = ("-M", "microvm,x-option-roms=off,rtc=on")
VIRT = ("-M", "virt")
MACHINES = {"q35": (Q35, "pci"), "microvm": (MICROVM, "device"), "virt": (VIRT, "pci")}


def make_disk(path: Path, size: str = "64G") -> Path:
    """Create an empty qcow2 disk and return its path."""
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(path), size], check=True)
    return path


class Machine:
    """One QEMU process with its control port and console; a context manager that kills it at the end."""

    def __init__(
        self,
        image: Path,
        data: Path,
        *,
        machine: str = "q35",
        extra: tuple[str, ...] = (),
        files: dict[str, bytes] | None = None,
        append: str = "",
        memory: int = 2048,
    ) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="wherry-vm."))
        self.lines: list[tuple[float, str]] = []
        self._rest = b""
        manifest = json.loads((image / "manifest.json").read_text())
        self.key = self.directory / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.key)], check=True)
        inputs = {"authorized-keys": self.key.with_suffix(".pub").read_bytes(), **(files or {})}
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        arguments, bus = MACHINES[machine]
        emulator = "qemu-system-aarch64" if manifest["arch"] == "arm64" else "qemu-system-x86_64"
        command = [
            emulator,
            *arguments,
            "-accel",
            "tcg,thread=multi,tb-size=512",
            "-cpu",
            "max,-erms",
            "-smp",
            "2",
            "-m",
            str(memory),
            "-nodefaults",
            "-no-user-config",
            "-display",
            "none",
            "-no-reboot",
            "-kernel",
            str(image / manifest["kernel"]["file"]),
            "-initrd",
            str(image / manifest["initramfs"]["file"]),
            "-append",
            f"{manifest['cmdline']} {manifest['cmdline_emulated']} {append}".strip(),
            "-drive",
            f"if=none,id=root,format=raw,readonly=on,file={image / manifest['root']['file']}",
            "-device",
            f"virtio-blk-{bus},drive=root,serial=root",
            "-drive",
            f"if=none,id=data,format=qcow2,discard=unmap,detect-zeroes=unmap,file={data}",
            "-device",
            f"virtio-blk-{bus},drive=data,serial=data",
            "-netdev",
            f"user,id=n0,hostfwd=tcp:127.0.0.1:{self.port}-:10055",
            "-device",
            f"virtio-net-{bus},netdev=n0" + (",romfile=" if bus == "pci" else ""),
            "-device",
            f"virtio-rng-{bus}",
            "-device",
            f"virtio-balloon-{bus},free-page-reporting=on",
            "-device",
            f"virtio-serial-{bus}",
            "-chardev",
            f"socket,id=ctl,path={self.directory / 'ctl'},server=on,wait=off",
            "-device",
            "virtserialport,chardev=ctl,name=io.wherry.control",
            "-chardev",
            (
                f"socket,id=con,path={self.directory / 'con'},server=on,wait=off,"
                f"logfile={self.directory / 'console.log'}"
            ),
            "-serial",
            "chardev:con",
        ]
        for name, content in inputs.items():
            path = self.directory / f"fw-{name}"
            path.write_bytes(content)
            command += ["-fw_cfg", f"name=opt/io.wherry/{name},file={path}"]
        self.started = time.monotonic()
        with (self.directory / "qemu.log").open("wb") as log:
            self.process = subprocess.Popen([*command, *extra], stdin=subprocess.DEVNULL, stderr=log)
        self.control = self._connect()

    def _connect(self) -> socket.socket:
        deadline = time.monotonic() + 10
        while True:
            link = socket.socket(socket.AF_UNIX)
            try:
                link.connect(str(self.directory / "ctl"))
                return link
            except OSError:
                link.close()
                if time.monotonic() > deadline or self.process.poll() is not None:
                    raise AssertionError(f"QEMU did not start: {self.errors()}") from None
                time.sleep(0.02)

    def reconnect(self) -> None:
        """Close the control connection and open a new one, as a new agent does."""
        self.control.close()
        self._rest = b""
        self.control = self._connect()

    def errors(self) -> str:
        """The standard error of QEMU."""
        return (self.directory / "qemu.log").read_text(errors="replace")

    def console(self) -> str:
        """The guest's console output."""
        path = self.directory / "console.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def send(self, line: str) -> None:
        """Send a line to the guest."""
        self.control.sendall(line.encode() + b"\n")

    def expect(self, pattern: str, timeout: float = 60, *, since: int = 0) -> str:
        """Wait for a line after number `since` that matches the pattern. Raises AssertionError after `timeout`."""
        wanted = re.compile(pattern)
        deadline = time.monotonic() + timeout
        seen = since
        while True:
            for _when, line in self.lines[seen:]:
                if wanted.fullmatch(line):
                    return line
            seen = len(self.lines)
            remaining = deadline - time.monotonic()
            if remaining <= 0 or not self._read(remaining):
                received = "\n".join(line for _, line in self.lines)
                raise AssertionError(
                    f"the guest did not say {pattern!r} but:\n{received}\nconsole:\n"
                    f"{self.console()[-3000:]}\n{self.errors()}"
                )

    def _read(self, timeout: float) -> bool:
        self.control.settimeout(timeout)
        try:
            data = self.control.recv(65536)
        except TimeoutError:
            return False
        self._rest += data
        *whole, self._rest = self._rest.split(b"\n")
        now = time.monotonic() - self.started
        self.lines += [(now, line.decode(errors="replace")) for line in whole]
        return bool(data)

    def ssh(self, command: str, timeout: float = 60) -> str:
        """Run a shell command in the guest and return its standard output. Raises AssertionError if it fails."""
        done = subprocess.run(
            [
                "ssh",
                "-i",
                str(self.key),
                "-p",
                str(self.port),
                "-o",
                "BatchMode=yes",
                "-o",
                "StrictHostKeyChecking=no",
                "-o",
                "UserKnownHostsFile=/dev/null",
                "-o",
                "LogLevel=ERROR",
                "root@127.0.0.1",
                command,
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert done.returncode == 0, f"{command!r} failed in the guest: {done.stdout}{done.stderr}"
        return done.stdout

    def poweroff(self, timeout: float = 60) -> None:
        """Shut the guest down and wait until QEMU has ended."""
        self.send("poweroff")
        self.process.wait(timeout)
        while self._read(1):
            pass

    def kill(self) -> None:
        """Kill QEMU, as in a power failure."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def __enter__(self) -> Machine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        if hasattr(self, "control"):
            self.control.close()
        shutil.rmtree(self.directory, ignore_errors=True)


def _report(title: str, machine: Machine) -> None:
    print(title)
    for when, line in machine.lines:
        print(f"  {when:7.2f} s  {line}")


def main(arguments: list[str]) -> None:
    """Boot twice with a new disk: the first boot formats it, the second one is the usual case."""
    image, kind, *extra = [*arguments, "q35"] if len(arguments) == 1 else arguments
    after: Callable[[Machine], None] = lambda machine: print(machine.ssh(os.environ["WHERRY_RUN"]))  # noqa: E731
    with tempfile.TemporaryDirectory(prefix="wherry-disk.") as directory:
        disk = make_disk(Path(directory) / "data.qcow2")
        for title in ("first boot (wall clock since QEMU's start; the guest's own uptime in the line)", "second boot"):
            with Machine(
                Path(image), disk, machine=kind, extra=tuple(extra), append=os.environ.get("WHERRY_APPEND", "")
            ) as machine:
                try:
                    machine.expect("stage dockerd .*", 120)
                    machine.expect("stage sshd .*", 60)
                    if "WHERRY_RUN" in os.environ:
                        after(machine)
                    asked = time.monotonic()
                    machine.poweroff()
                    print(f"shutdown took {time.monotonic() - asked:.2f} s")
                finally:
                    _report(title, machine)


if __name__ == "__main__":
    main(sys.argv[1:])
