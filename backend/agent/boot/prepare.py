"""The first step of a start: checks and prepares everything that QEMU needs."""

from __future__ import annotations

import asyncio
import json
import os
import uuid
from dataclasses import dataclass
from pathlib import Path

from backend.agent.boot import corporate_network, images
from backend.agent.boot.readiness import PREPARE
from backend.agent.core import started_with
from backend.errors import Problem, ProblemCode, WherryError, fail
from backend.files import explain_os_error, write_private
from backend.host.base import AcceleratorFact, Host
from backend.host.network import has_ipv6
from backend.host.process import total_memory_mib
from backend.host.routes import Route
from backend.messages import Message, message
from backend.model import MachineResources
from backend.net import ipv6, subnets
from backend.net.engine_options import merged, publishing, with_loopback_registries
from backend.paths import MachineDir
from backend.settings import config as settings
from backend.settings.config import Config
from backend.settings.disk import data_disk_path
from backend.ssh.keys import MachineKeys, ensure_keys
from backend.vm import binary, image, ladder, suspended
from backend.vm.disk import disks
from backend.vm.ladder import Plan
from backend.vm.spec import Candidate, GuestImage, LaunchSpec, QemuFacts, UnixAddress, UserNetwork
from backend.vm.suspended import Suspended


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """Everything that a launch needs."""

    config: Config
    image: GuestImage
    qemu: QemuFacts
    facts: tuple[AcceleratorFact, ...]
    plan: Plan
    resources: MachineResources
    keys: MachineKeys
    inputs: tuple[tuple[str, Path], ...]
    network: UserNetwork
    """Between host and guest. A resumed guest keeps its network, which is in its record."""
    uuid: str
    """Identifies this run of QEMU."""
    routes_unknown: Problem | None = None
    """Set if this computer's routes could not be read, so that the network may overlap with one."""
    notes: tuple[Message, ...] = ()
    """For the user: settings of this computer that the guest cannot use."""
    suspended: Suspended | None = None
    """The saved state to resume."""
    given_up: Message | None = None
    """Why a saved state could not be used and was deleted."""

    def spec(self, host: Host, directory: MachineDir, candidate: Candidate) -> LaunchSpec:
        """The input of `command.build`."""
        return LaunchSpec(
            host=host.name,
            qemu=self.qemu,
            candidate=candidate,
            image=self.image,
            uuid=self.uuid,
            cpus=self.resources.cpus,
            memory_mib=self.resources.memory_mib,
            data_disk=data_disk_path(directory),
            monitor=UnixAddress(path=directory.monitor_socket),
            control=UnixAddress(path=directory.control_socket),
            console=UnixAddress(path=directory.console_socket),
            serial_log=directory.serial_log,
            pid_file=directory.qemu_pid,
            inputs=self.inputs,
            network=self.network,
        )


async def prepare_within(deadline_s: float, host: Host, directory: MachineDir) -> Preparation:
    """Do `prepare` within a deadline.

    Raises:
        WherryError: the first check that failed, or STEP_TIMED_OUT.
    """
    try:
        async with asyncio.timeout(deadline_s):
            return await prepare(host, directory)
    except TimeoutError as error:
        raise fail(
            ProblemCode.STEP_TIMED_OUT,
            message("{title}: not finished within {seconds:g} s.", title=PREPARE.title, seconds=deadline_s),
            hint=PREPARE.hint,
            retryable=True,
        ) from error
    except OSError as error:
        raise WherryError(explain_os_error(error)) from error


async def prepare(host: Host, directory: MachineDir) -> Preparation:
    """Check image, disk, keys and QEMU, and write the guest's input files. Slow parts run in parallel threads.

    Raises:
        WherryError: the first check that failed.
    """
    directory.create()
    config = settings.load(directory.config)
    await asyncio.to_thread(disks.check_room, directory.machine)
    if config.machine.disk_directory and data_disk_path(directory).exists():
        await asyncio.to_thread(disks.check_room, data_disk_path(directory).parent)
    chosen = images.directory_of(config, host, directory)
    loading = asyncio.to_thread(image.load, chosen, arch=host.arch, stamp=directory.image_stamp)
    finding = asyncio.to_thread(_find_qemu, config, host, directory)
    guest_image, (qemu, disk_gib, saved, given_up) = await asyncio.gather(loading, finding)
    if saved is not None and directory.guest_inputs.is_dir():
        guest_inputs = await asyncio.to_thread(_kept_inputs, directory, saved)
    else:
        guest_inputs = await asyncio.to_thread(_make_inputs, config, host, directory, chosen)
    if saved is None:  # a resumed machine keeps its settings
        await asyncio.to_thread(started_with.save_settings, directory, config)
    facts = host.accelerators()
    plan = ladder.plan(
        arch=host.arch,
        qemu=qemu,
        facts=facts,
        verdicts=ladder.load_verdicts(directory.verdicts),
        wanted=config.machine.accelerator,
    )
    if not plan.candidates:
        raise fail(
            ProblemCode.NO_ACCELERATOR,
            message(
                "The accelerator chosen in the settings ({accelerator}) can't be used on this computer.",
                accelerator=config.machine.accelerator,
            ),
            tail=tuple(str(reason) for reason in plan.rejected),
            hint=message("Let Wherry choose: wherry config set machine.accelerator auto"),
        )
    return Preparation(
        config=config,
        image=guest_image,
        qemu=qemu,
        facts=facts,
        plan=plan,
        resources=resources(config, disk_gib=disk_gib),
        keys=guest_inputs.keys,
        inputs=guest_inputs.inputs,
        network=guest_inputs.network,
        routes_unknown=guest_inputs.routes_unknown,
        notes=guest_inputs.notes,
        uuid=str(uuid.uuid4()),
        suspended=saved,
        given_up=given_up,
    )


def resources(config: Config, *, disk_gib: int) -> MachineResources:
    """CPUs, memory and disk of the machine: from the settings, or else a share of the host's."""
    cpus = os.cpu_count() or 1
    memory = total_memory_mib()
    return MachineResources(
        cpus=config.machine.cpus or min(max(cpus // 2, min(cpus, 2)), 8),
        memory_mib=config.machine.memory_mib or min(max(memory // 4, 1024), 4096),
        disk_gib=disk_gib,
    )


def _find_qemu(
    config: Config, host: Host, directory: MachineDir
) -> tuple[QemuFacts, int, Suspended | None, Message | None]:
    """QEMU, the disk size in GiB, the saved state to resume, or else why a saved state could not be used."""
    qemu = binary.find(host, host.arch, configured=config.qemu.binary)
    saved, why = suspended.load(directory), None
    if saved is not None:
        why = suspended.incompatibility(saved, qemu, data_disk_path(directory), cpu=host.cpu_identity())
        saved = None if why else saved
    if saved is None:
        suspended.discard(directory)
    if config.machine.disk_directory and not data_disk_path(directory).exists():
        raise fail(
            ProblemCode.PATH_UNUSABLE,
            message("The data disk was moved to {folder} but isn't there.", folder=data_disk_path(directory).parent),
            command=f"ls -l {data_disk_path(directory)}",
            hint=message(
                "Connect the drive that contains it. To give it up and start fresh: wherry reset --no-checkpoint"
            ),
        )
    size = disks.ensure_data_disk(
        data_disk_path(directory),
        # A resumed guest cannot see a new size: the disk grows at the next boot.
        size_gib=0 if saved is not None else config.machine.disk_gib,
        image_tool=binary.find_image_tool(qemu),
    )
    return qemu, size, saved, why


@dataclass(frozen=True, slots=True, kw_only=True)
class _GuestInputs:
    """Keys and input files of the guest, and the network that was chosen."""

    keys: MachineKeys
    inputs: tuple[tuple[str, Path], ...]
    network: UserNetwork
    routes_unknown: Problem | None = None
    notes: tuple[Message, ...] = ()


def _kept_inputs(directory: MachineDir, saved: Suspended) -> _GuestInputs:
    """The unchanged input files of a resumed guest, which has their names and sizes in its memory."""
    keys = ensure_keys(directory.keys)
    entries = sorted(directory.guest_inputs.iterdir())
    kept = {path.name: path for path in entries if path.is_file() and not path.name.startswith(".")}
    if (options := kept.pop(directory.engine_options.name, None)) is not None:
        kept[directory.used_daemon_json.name] = options
    inputs = (("ssh-host-key", keys.host.private_path), *kept.items())
    return _GuestInputs(keys=keys, inputs=inputs, network=saved.run.user_network)


def _make_inputs(config: Config, host: Host, directory: MachineDir, image_directory: Path) -> _GuestInputs:
    """Write the input files, which the guest reads by fw_cfg."""
    memory_mib = resources(config, disk_gib=0).memory_mib
    keys = ensure_keys(directory.keys)
    unknown: Problem | None = None
    routes: tuple[Route, ...] = ()
    try:
        routes = host.routes() + subnets.routes_in_settings(config.network)
    except WherryError as error:  # reported; the machine works nevertheless
        unknown = error.problem
    network = UserNetwork(
        net=subnets.choose_user_network(routes, wanted=config.network.subnet),
        ipv6=ipv6.is_wanted(config.network.ipv6, host_has_it=has_ipv6),
    )
    user_options = settings.daemon_options(directory.daemon_json)
    options = merged(
        publishing(user_options, publish_everywhere=config.network.publish == "all"),
        subnets.engine_options(routes, user_network=network.net),
    )
    if network.ipv6:
        options = ipv6.with_ipv6(options, user_options)
    options = with_loopback_registries(options, network.gateway)
    corporate = corporate_network.examine(
        config.network,
        host,
        options=options,
        network=network,
        known=image.read_facts(image_directory).authorities,
    )
    directory.guest_inputs.mkdir(mode=0o700, exist_ok=True)
    started_with.save_daemon_options(directory, user_options)
    contents = {
        "authorized-keys": (directory.guest_inputs / "authorized-keys", (keys.client.public_line + "\n").encode()),
        "daemon.json": (directory.engine_options, _json(options)),
        "hostname": (directory.guest_inputs / "hostname", b"wherry\n"),
        "network": (directory.guest_inputs / "network", network.as_input().encode()),
        # Kept in memory, so more than that can never be filled.
        "swap": (directory.guest_inputs / "swap", b"%d\n" % min(config.machine.swap_mib, memory_mib)),
        **{name: (directory.guest_inputs / name, content) for name, content in corporate.contents.items()},
    }
    for name in corporate_network.INPUTS:
        if name not in contents:
            (directory.guest_inputs / name).unlink(missing_ok=True)
    inputs = [("ssh-host-key", keys.host.private_path)]
    for name, (path, content) in contents.items():
        write_private(path, content)
        inputs.append((name, path))
    corporate_network.save_record(directory.used_corporate_network, corporate.record)
    return _GuestInputs(
        keys=keys, inputs=tuple(inputs), network=network, routes_unknown=unknown, notes=corporate.record.proxy_notes
    )


def _json(options: dict[str, object]) -> bytes:
    return (json.dumps(options, indent=2, ensure_ascii=False) + "\n").encode()
