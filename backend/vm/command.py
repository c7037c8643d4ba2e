"""The QEMU command line as a pure function of a `LaunchSpec`: each system's line can be tested on any system.

Design decisions (2026-11):
- `-blockdev` with node names instead of `-drive`: later snapshots and resizes refer to the nodes.
- The same machine for every x86 accelerator: q35 with unused devices off, and qboot, which starts the PVH kernel
  without a firmware's menus and scans. (`microvm` would initialise less, but Debian's kernel finds its devices only by
  ACPI, and then has no timer under emulation.)
- No secret is ever an argument: keys reach the guest as fw_cfg files. Every listening address is 127.0.0.1.
- `-no-reboot`: the guest ends QEMU by rebooting, which works with and without ACPI, and a panic ends it too.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from backend.vm.spec import CONTROL_PORT_NAME, DATA_NODE, INPUT_PREFIX, NETDEV, LaunchSpec, SocketAddress, UnixAddress

_MACHINES: Final = {
    "q35": "q35,sata=off,smbus=off,usb=off,vmport=off",
    "virt": "virt,gic-version=max",
}


def build(spec: LaunchSpec) -> list[str]:
    """Return argv, program first.

    Raises:
        ValueError: a path contains a NUL or a line break, which QEMU does not accept.
    """
    return [
        str(spec.qemu.binary),
        *("-name", "wherry"),
        *("-uuid", spec.uuid),
        *("-nodefaults", "-no-user-config", "-no-reboot"),
        *("-display", "none"),
        *_processor(spec),
        *_kernel(spec),
        *_disks(spec),
        *_network(spec),
        *("-device", "virtio-rng-pci"),
        *_balloon(spec),
        *_channels(spec),
        *_inputs(spec),
        *("-rtc", "base=utc,clock=host"),
        *("-pidfile", str(spec.pid_file)),
        *_sandbox(spec),
    ]


def _processor(spec: LaunchSpec) -> list[str]:
    machine = _MACHINES[spec.candidate.machine]
    if spec.candidate.machine == "virt" and spec.candidate.accelerator == "tcg":
        machine = "virt,gic-version=3"  # "max" depends on the accelerator; emulation would choose a version it lacks
    return [
        *("-machine", machine),
        *("-accel", spec.candidate.accelerator + spec.candidate.accelerator_options),
        *("-cpu", spec.candidate.cpu),
        *(("-bios", spec.candidate.firmware) if spec.candidate.firmware else ()),
        *("-smp", str(spec.cpus)),
        *("-m", f"{spec.memory_mib}M"),
    ]


def _kernel(spec: LaunchSpec) -> list[str]:
    emulated = spec.image.cmdline_emulated if spec.candidate.accelerator == "tcg" else ""
    return [
        *("-kernel", str(spec.image.kernel)),
        *("-initrd", str(spec.image.initramfs)),
        *("-append", f"{spec.image.cmdline} {emulated}".rstrip()),
    ]


def _disks(spec: LaunchSpec) -> list[str]:
    # Threads on every system: many container sandboxes refuse io_uring, and there is no measurable difference here.
    return [
        *("-blockdev", f"driver=file,node-name=root-file,filename={_path(spec.image.root)},read-only=on"),
        *("-blockdev", "driver=raw,node-name=root,file=root-file,read-only=on"),
        *("-device", "virtio-blk-pci,drive=root,serial=root"),
        *("-blockdev", f"driver=file,node-name=data-file,filename={_path(spec.data_disk)},discard=unmap"),
        *("-blockdev", f"driver=qcow2,node-name={DATA_NODE},file=data-file,discard=unmap,detect-zeroes=unmap"),
        *("-device", f"virtio-blk-pci,drive={DATA_NODE},serial=data,discard=on"),
    ]


def _network(spec: LaunchSpec) -> list[str]:
    # Port forwards are added over the monitor, where QEMU chooses a free port and reports it.
    network = spec.network
    ipv6 = "on" if network.ipv6 else "off"  # QEMU disables the family that is not named
    place = f"net={network.net},host={network.gateway},dns={network.nameserver},dhcpstart={network.guest}"
    return [
        *("-netdev", f"user,id={NETDEV},{place},ipv4=on,ipv6={ipv6}"),
        *("-device", f"virtio-net-pci,netdev={NETDEV},romfile="),
    ]


def _balloon(spec: LaunchSpec) -> list[str]:
    # Windows cannot release a memory range (no madvise), and QEMU logs an error for each attempt.
    reporting = "" if spec.host == "windows" else ",free-page-reporting=on"
    return ["-device", f"virtio-balloon-pci,id=balloon{reporting}"]


def _channels(spec: LaunchSpec) -> list[str]:
    console_log = f",logfile={_path(spec.serial_log)},logappend=off"
    return [
        *_credentials(spec),
        *("-chardev", _socket("monitor", spec.monitor)),
        *("-mon", "chardev=monitor,mode=control"),
        *("-chardev", _socket("console", spec.console) + console_log),
        *("-serial", "chardev:console"),
        *("-chardev", _socket("control", spec.control)),
        *("-device", "virtio-serial-pci"),
        *("-device", f"virtserialport,chardev=control,name={CONTROL_PORT_NAME}"),
    ]


def _socket(name: str, address: SocketAddress) -> str:
    if isinstance(address, UnixAddress):
        return f"socket,id={name},path={_path(address.path)},server=on,wait=off"
    return f"socket,id={name},host=127.0.0.1,port={address.port},server=on,wait=off,tls-creds=tls"


def _credentials(spec: LaunchSpec) -> list[str]:
    for address in (spec.monitor, spec.console, spec.control):
        if not isinstance(address, UnixAddress):
            directory = _path(address.credentials)
            return ["-object", f"tls-creds-x509,id=tls,dir={directory},endpoint=server,verify-peer=on"]
    return []


def _inputs(spec: LaunchSpec) -> list[str]:
    arguments: list[str] = []
    for name, path in spec.inputs:
        arguments += ["-fw_cfg", f"name={INPUT_PREFIX}{name},file={_path(path)}"]
    return arguments


def _sandbox(spec: LaunchSpec) -> list[str]:
    if spec.host != "linux" or not spec.qemu.sandbox:
        return []
    return ["-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"]


def _path(path: Path) -> str:
    """Escape a path for an option's value: a comma is doubled."""
    text = str(path)
    if "\0" in text or "\n" in text:
        raise ValueError(f"QEMU cannot be given the path {text!r}")
    return text.replace(",", ",,")
