"""The QEMU command line against literal lists, for systems that this machine is not."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import pytest

from backend.vm import ladder
from backend.vm.command import build
from backend.vm.spec import Candidate, GuestImage, LaunchSpec, QemuFacts, TlsAddress, UnixAddress

RUN = Path("/home/ann/wherry/run")
MACHINE = Path("/home/ann/wherry/machine")
IMAGE = GuestImage(
    directory=Path("/img"),
    arch="amd64",
    version="v1",
    kernel=Path("/img/vmlinux"),
    initramfs=Path("/img/initramfs"),
    root=Path("/img/root.erofs"),
    cmdline="console=ttyS0 quiet",
    cmdline_emulated="slowly",
    engine_version="28.5.2",
    ssh_port=10055,
)


def facts(version: tuple[int, int, int] = (7, 2, 22), *accelerators: str, sandbox: bool = True) -> QemuFacts:
    return QemuFacts(
        binary=Path("/usr/bin/qemu-system-x86_64"),
        version=version,
        accelerators=frozenset(accelerators or ("tcg", "kvm")),
        sandbox=sandbox,
    )


def spec(candidate: Candidate, *, host: str = "linux", qemu: QemuFacts | None = None) -> LaunchSpec:
    return LaunchSpec(
        host=host,
        qemu=qemu or facts(),
        candidate=candidate,
        image=IMAGE,
        uuid="123e4567-e89b-12d3-a456-426614174000",
        cpus=2,
        memory_mib=2048,
        data_disk=MACHINE / "data.qcow2",
        monitor=UnixAddress(path=RUN / "monitor.sock"),
        control=UnixAddress(path=RUN / "control.sock"),
        console=UnixAddress(path=RUN / "console.sock"),
        serial_log=Path("/home/ann/wherry/logs/serial.log"),
        pid_file=MACHINE / "qemu.pid",
        inputs=(("authorized-keys", MACHINE / "inputs/authorized-keys"),),
    )


def options(argv: list[str], name: str) -> list[str]:
    return [value for option, value in itertools.pairwise(argv) if option == name]


LINUX_TCG = [
    "/usr/bin/qemu-system-x86_64",
    "-name", "wherry",
    "-uuid", "123e4567-e89b-12d3-a456-426614174000",
    "-nodefaults", "-no-user-config", "-no-reboot",
    "-display", "none",
    "-machine", "q35,sata=off,smbus=off,usb=off,vmport=off",
    "-accel", "tcg,thread=multi,tb-size=512",
    "-cpu", "max,-erms",
    "-bios", "qboot.rom",
    "-smp", "2",
    "-m", "2048M",
    "-kernel", "/img/vmlinux",
    "-initrd", "/img/initramfs",
    "-append", "console=ttyS0 quiet slowly",
    "-blockdev", "driver=file,node-name=root-file,filename=/img/root.erofs,read-only=on",
    "-blockdev", "driver=raw,node-name=root,file=root-file,read-only=on",
    "-device", "virtio-blk-pci,drive=root,serial=root",
    "-blockdev", "driver=file,node-name=data-file,filename=/home/ann/wherry/machine/data.qcow2,discard=unmap",
    "-blockdev", "driver=qcow2,node-name=data,file=data-file,discard=unmap,detect-zeroes=unmap",
    "-device", "virtio-blk-pci,drive=data,serial=data,discard=on",
    "-netdev", "user,id=net0,net=10.0.2.0/24,host=10.0.2.2,dns=10.0.2.3,dhcpstart=10.0.2.15,ipv4=on,ipv6=off",
    "-device", "virtio-net-pci,netdev=net0,romfile=",
    "-device", "virtio-rng-pci",
    "-device", "virtio-balloon-pci,id=balloon,free-page-reporting=on",
    "-chardev", "socket,id=monitor,path=/home/ann/wherry/run/monitor.sock,server=on,wait=off",
    "-mon", "chardev=monitor,mode=control",
    "-chardev", ("socket,id=console,path=/home/ann/wherry/run/console.sock,server=on,wait=off,"
                "logfile=/home/ann/wherry/logs/serial.log,logappend=off"),
    "-serial", "chardev:console",
    "-chardev", "socket,id=control,path=/home/ann/wherry/run/control.sock,server=on,wait=off",
    "-device", "virtio-serial-pci",
    "-device", "virtserialport,chardev=control,name=io.wherry.control",
    "-fw_cfg", "name=opt/io.wherry/authorized-keys,file=/home/ann/wherry/machine/inputs/authorized-keys",
    "-rtc", "base=utc,clock=host",
    "-pidfile", "/home/ann/wherry/machine/qemu.pid",
    "-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
]  # fmt: skip


def test_linux_software_emulation_in_full() -> None:
    assert build(spec(ladder.software_candidates("amd64")[0])) == LINUX_TCG


@pytest.mark.parametrize(
    ("host", "arch", "accelerator", "version", "expected"),
    [
        ("linux", "amd64", "kvm", (7, 2, 0), ("q35,sata=off,smbus=off,usb=off,vmport=off", "kvm", "host")),
        ("linux", "arm64", "kvm", (7, 2, 0), ("virt,gic-version=max", "kvm", "host")),
        (
            "darwin",
            "amd64",
            "hvf",
            (9, 0, 0),
            ("q35,sata=off,smbus=off,usb=off,vmport=off", "hvf", "host,-avx512vl,-pdpe1gb"),
        ),
        ("darwin", "arm64", "hvf", (9, 0, 0), ("virt,gic-version=max", "hvf", "host")),
        ("windows", "amd64", "whpx", (11, 1, 1), ("q35,sata=off,smbus=off,usb=off,vmport=off", "whpx", "host")),
        (
            "windows",
            "amd64",
            "whpx",
            (10, 2, 0),
            ("q35,sata=off,smbus=off,usb=off,vmport=off", "whpx,kernel-irqchip=off", "qemu64"),
        ),
        ("windows", "arm64", "whpx", (11, 1, 1), ("virt,gic-version=max", "whpx", "host")),
    ],
)
def test_processor_of_every_accelerator(
    host: str, arch: str, accelerator: str, version: tuple[int, int, int], expected: tuple[str, str, str]
) -> None:
    qemu = facts(version, accelerator)
    argv = build(spec(ladder.hardware_candidates(accelerator, arch, qemu)[0], host=host, qemu=qemu))
    assert options(argv, "-append") == ["console=ttyS0 quiet"], "what is for emulation only stays out"
    assert (options(argv, "-machine"), options(argv, "-accel"), options(argv, "-cpu")) == tuple(
        [value] for value in expected
    )


def test_arm_emulation() -> None:
    argv = build(spec(ladder.software_candidates("arm64")[0]))
    assert options(argv, "-machine") == ["virt,gic-version=3"]
    assert options(argv, "-cpu") == ["max,pauth-impdef=on"]
    assert "virtio-net-pci,netdev=net0,romfile=" in argv


def test_windows_guards_its_sockets_and_skips_what_it_lacks() -> None:
    tls = TlsAddress(port=45001, credentials=Path("C:/Users/ann/tls"))
    base = spec(ladder.software_candidates("amd64")[1], host="windows", qemu=facts((11, 1, 1), "tcg"))
    argv = build(replace(base, monitor=tls, control=replace(tls, port=45002), console=replace(tls, port=45003)))
    assert options(argv, "-object") == ["tls-creds-x509,id=tls,dir=C:/Users/ann/tls,endpoint=server,verify-peer=on"]
    assert argv.index("-object") < argv.index("-chardev"), "credentials must exist before they are used"
    sockets = [value for value in options(argv, "-chardev") if value.startswith("socket,")]
    assert len(sockets) == 3
    assert all("host=127.0.0.1," in value and "tls-creds=tls" in value for value in sockets)
    assert "virtio-balloon-pci,id=balloon" in argv  # no free-page-reporting: Windows cannot give a range back
    assert "-sandbox" not in argv


def test_a_qemu_without_seccomp_gets_no_sandbox() -> None:
    argv = build(spec(ladder.software_candidates("amd64")[0], qemu=facts(sandbox=False)))
    assert "-sandbox" not in argv


def test_commas_in_paths_do_not_end_an_option() -> None:
    base = spec(ladder.software_candidates("amd64")[0])
    argv = build(replace(base, data_disk=Path("/home/änn, the 2nd/data.qcow2")))
    assert "driver=file,node-name=data-file,filename=/home/änn,, the 2nd/data.qcow2,discard=unmap" in argv


@pytest.mark.parametrize("bad", ["/home/a\nb/data.qcow2", "/home/a\0b/data.qcow2"])
def test_paths_that_qemu_cannot_take_are_refused(bad: str) -> None:
    with pytest.raises(ValueError, match="cannot be given"):
        build(replace(spec(ladder.software_candidates("amd64")[0]), data_disk=Path(bad)))


@pytest.mark.parametrize("host", ["linux", "darwin", "windows"])
def test_no_secret_and_no_open_address_on_any_command_line(host: str) -> None:
    text = " ".join(build(spec(ladder.software_candidates("amd64")[0], host=host)))
    assert "0.0.0.0" not in text
    assert "PRIVATE KEY" not in text
    assert "ssh-ed25519" not in text
    assert "hostfwd" not in text  # forwards are made over the monitor, always with 127.0.0.1
