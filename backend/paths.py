"""Where everything of one machine lives: every file name, one property each, documented once.

HOME/                    `--home`, $WHERRY_HOME, or the platform's data directory; 0700
├── config.toml          settings, edited by the user or by `wherry config`
├── daemon.json          options for dockerd, written by the user; absent means none
├── preferences.json     what the window remembers
├── keys/                SSH key pairs and the pinned host key
├── machine/             the disk and what is remembered of the machine
├── logs/                agent, QEMU and serial console
└── run/                 sockets; moved to a short directory where HOME is too long for a socket's name
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SOCKET_NAMES: Final = ("docker.sock", "agent.sock", "monitor.sock", "control.sock", "console.sock")


@dataclass(frozen=True, slots=True)
class MachineDir:
    """The files of one machine. Building it touches nothing on disk; `create` makes the directories."""

    home: Path
    """Absolute."""
    run: Path
    """Directory of the sockets, 0700."""

    @classmethod
    def locate(cls, home: Path, *, max_socket_path_bytes: int, short_run_base: Path) -> MachineDir:
        """Choose the directories.

        Args:
            home: the machine's home; made absolute here.
            max_socket_path_bytes: longest socket path that this system takes.
            short_run_base: private directory to hold the sockets of homes with long names.
        """
        home = home.expanduser().absolute()
        run = home / "run"
        longest = max(len(str(run / name).encode()) for name in SOCKET_NAMES)
        if longest > max_socket_path_bytes:
            digest = hashlib.sha256(str(home).encode()).hexdigest()[:12]
            run = short_run_base / digest
        return cls(home=home, run=run)

    def create(self) -> None:
        """Make every directory, private to the user. Raises OSError."""
        for directory in (self.home, self.run.parent, self.run, self.keys, self.machine, self.logs):
            existed = directory.is_dir()
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not existed:
                directory.chmod(0o700)

    # -- settings -----------------------------------------------------------------------------------------------
    @property
    def config(self) -> Path:
        """The user's settings."""
        return self.home / "config.toml"

    @property
    def daemon_json(self) -> Path:
        """The user's options for dockerd, as in /etc/docker/daemon.json."""
        return self.home / "daemon.json"

    @property
    def preferences(self) -> Path:
        """What the window remembers: theme, zoom, columns... Written by it alone."""
        return self.home / "preferences.json"

    # -- secrets ------------------------------------------------------------------------------------------------
    @property
    def keys(self) -> Path:
        """Key pairs; see backend/ssh/keys.py for the names in it."""
        return self.home / "keys"

    # -- the machine --------------------------------------------------------------------------------------------
    @property
    def machine(self) -> Path:
        """What belongs to the virtual machine."""
        return self.home / "machine"

    @staticmethod
    def disk_in(directory: Path) -> Path:
        """The data disk's file, if `directory` has it."""
        return directory / "data.qcow2"

    @staticmethod
    def moving_disk_in(directory: Path) -> Path:
        """A copy of the data disk that is being made there; of no use to anybody until it is renamed."""
        return directory / ".data.qcow2.moving"

    @property
    def blank_disk(self) -> Path:
        """An empty file, as large as the data disk, that is there only while that is being blanked."""
        return self.machine / "blank.raw"

    @property
    def operation_journal(self) -> Path:
        """How far a long operation got; there only while one is under way. See backend/agent/core/journal.py."""
        return self.machine / "operation.json"

    @property
    def run_record(self) -> Path:
        """What the running QEMU was started with; written before it starts, removed when it has ended."""
        return self.machine / "run.json"

    @property
    def desired(self) -> Path:
        """What the user asked for last; see backend/agent/core/desired_state.py."""
        return self.machine / "desired.json"

    @property
    def suspended_record(self) -> Path:
        """What the saved state of a suspended machine belongs to; see backend/vm/suspended.py."""
        return self.machine / "suspended.json"

    @property
    def suspended_state(self) -> Path:
        """The memory and processors of a suspended machine: as private as all that its containers held."""
        return self.machine / "suspended.state"

    @property
    def suspended_partial(self) -> Path:
        """A state that is being saved."""
        return self.machine / "suspended.state.partial"

    @property
    def qemu_pid(self) -> Path:
        """QEMU's process id, written and locked by QEMU itself."""
        return self.machine / "qemu.pid"

    @property
    def usage_peaks(self) -> Path:
        """The most that the running machine has taken of this computer."""
        return self.machine / "usage-peaks.json"

    @property
    def guest_inputs(self) -> Path:
        """Files handed to the guest by fw_cfg."""
        return self.machine / "inputs"

    @property
    def used_config(self) -> Path:
        """The settings with which the machine was started last, to tell what a restart would change."""
        return self.machine / "config-used.json"

    @property
    def used_daemon_json(self) -> Path:
        """The engine's options with which the machine was started last."""
        return self.guest_inputs / "daemon.json"

    @property
    def engine_options(self) -> Path:
        """Those with Wherry's own, as the guest gets them."""
        return self.guest_inputs / "engine-options.json"

    @property
    def published_addresses(self) -> Path:
        """Which addresses of the guest's loopback stand for which of the host; see backend/net/aliases.py."""
        return self.machine / "published-addresses.json"

    @property
    def used_corporate_network(self) -> Path:
        """Proxies and certificates with which the machine was started last, without passwords."""
        return self.machine / "company-used.json"

    @property
    def resolver_port(self) -> Path:
        """Where the agent resolves names for the guest: a port of 127.0.0.1."""
        return self.machine / "resolver-port"

    @property
    def verdicts(self) -> Path:
        """Which accelerators were found to work, or not, on this host."""
        return self.machine / "accelerators.json"

    @property
    def image_stamp(self) -> Path:
        """Which image files were verified last, by size and time, so that they are hashed once."""
        return self.machine / "image-verified.json"

    @property
    def image_pin(self) -> Path:
        """Which guest image the machine keeps; see backend/agent/boot/images.py."""
        return self.machine / "image.json"

    @property
    def agent_lock(self) -> Path:
        """Held by the agent for as long as it lives; the only truth about who owns the machine."""
        return self.home / "agent.lock"

    # -- logs ---------------------------------------------------------------------------------------------------
    @property
    def logs(self) -> Path:
        """Directory of the logs."""
        return self.home / "logs"

    @property
    def agent_log(self) -> Path:
        """The agent's own log, rotated."""
        return self.logs / "agent.log"

    @property
    def agent_output(self) -> Path:
        """What the agent printed: empty unless it could not even start."""
        return self.logs / "agent.out"

    @property
    def qemu_log(self) -> Path:
        """QEMU's own messages, of its last run."""
        return self.logs / "qemu.log"

    @property
    def previous_serial_log(self) -> Path:
        """The guest's console, of the run before."""
        return self.logs / "serial.previous.log"

    @property
    def serial_log(self) -> Path:
        """The guest's console, of its last run."""
        return self.logs / "serial.log"

    # -- sockets ------------------------------------------------------------------------------------------------
    @property
    def docker_socket(self) -> Path:
        """The engine's endpoint for docker clients."""
        return self.run / "docker.sock"

    @property
    def agent_socket(self) -> Path:
        """The agent's control channel."""
        return self.run / "agent.sock"

    @property
    def monitor_socket(self) -> Path:
        """QEMU's monitor."""
        return self.run / "monitor.sock"

    @property
    def control_socket(self) -> Path:
        """The guest's control port."""
        return self.run / "control.sock"

    @property
    def console_socket(self) -> Path:
        """The guest's serial console, two-way."""
        return self.run / "console.sock"
