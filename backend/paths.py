"""All files of a machine, one property each.

HOME/                    `--home`, $WHERRY_HOME, or the platform's data directory; 0700 ├── config.toml
settings, edited by the user or by `wherry config` ├── daemon.json          options for dockerd, written by the user;
absent means none ├── preferences.json     the window's preferences ├── keys/                SSH key pairs and the
pinned host key ├── machine/             the disk and the machine's state ├── logs/                agent, QEMU and
serial console └── run/                 sockets; in a short directory elsewhere when HOME does not do for them
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from backend.errors import Problem, ProblemCode, WherryError
from backend.messages import message

SOCKET_NAMES: Final = ("docker.sock", "agent.sock", "monitor.sock", "control.sock", "console.sock", "keeper.sock")
_MAX_BYTES: Final = 3900
"""Of the 4096 of a path, with room for the files in it."""
_MAX_PART_BYTES: Final = 255


def path_problem(path: Path) -> Problem | None:
    """Why Wherry cannot use a path that somebody gives it, whatever is there; None: it can.

    Asked at a start, by the doctor, and of every setting that is a path. Spaces, quotes and the letters of all
    languages are fine, for QEMU, ssh and docker too.
    """
    raw = os.fsencode(path)
    if any(byte < 0x20 or byte == 0x7F for byte in raw):
        shown = "".join(letter if letter.isprintable() else "�" for letter in str(path))
        why = message("{path} contains a line break or another control character.", path=shown)
    elif not _is_utf8(raw):
        shown = raw.decode("utf-8", errors="replace")
        why = message("{path} contains bytes that aren't text in UTF-8.", path=shown)
    elif len(raw) > _MAX_BYTES or any(len(part) > _MAX_PART_BYTES for part in raw.split(b"/")):
        why = message("{path} is too long: {count} bytes.", path=f"{str(path)[:60]}…", count=len(raw))
    else:
        return None
    return Problem(code=ProblemCode.PATH_UNUSABLE, summary=why, hint=message("Choose another folder."))


def check_path(path: Path) -> None:
    """Raise WherryError (PATH_UNUSABLE) for a path that Wherry cannot use; see `path_problem`."""
    problem = path_problem(path)
    if problem is not None:
        raise WherryError(problem)


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _fits_url(path: Path) -> bool:
    """Whether every docker client finds the path in a URL that it is part of as it stands.

    The docker command takes "%" for the start of an escape; docker-py ends the path at "?" and "#".
    """
    raw = os.fsencode(path)
    return _is_utf8(raw) and not any(byte in b"%?#\x7f" or byte < 0x20 for byte in raw)


@dataclass(frozen=True, slots=True)
class MachineDir:
    """The files of one machine. Creating this object does not touch the disk; `create` creates the directories."""

    home: Path
    """Absolute path."""
    run: Path
    """Directory of the sockets, 0700."""

    @classmethod
    def locate(cls, home: Path, *, max_socket_path_bytes: int, short_run_base: Path) -> MachineDir:
        """Determine the directories. The sockets are in the home unless its path does not do for a docker client.

        Args:
            home: the machine's home; may be relative.
            max_socket_path_bytes: the system's limit for socket paths.
            short_run_base: private directory for the sockets of other homes.
        """
        home = home.expanduser().absolute()
        run = home / "run"
        longest = max(len(os.fsencode(run / name)) for name in SOCKET_NAMES)
        if longest > max_socket_path_bytes or not _fits_url(run):
            digest = hashlib.sha256(os.fsencode(home)).hexdigest()[:12]
            run = short_run_base / digest
        return cls(home=home, run=run)

    def create(self) -> None:
        """Create all directories, private to the user. Raises OSError."""
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
        """Preferences of the window: theme, zoom, columns... Written only by the window."""
        return self.home / "preferences.json"

    # -- secrets ------------------------------------------------------------------------------------------------
    @property
    def keys(self) -> Path:
        """Key pairs; see backend/ssh/keys.py for the file names."""
        return self.home / "keys"

    # -- the machine --------------------------------------------------------------------------------------------
    @property
    def machine(self) -> Path:
        """State of the virtual machine."""
        return self.home / "machine"

    @staticmethod
    def disk_in(directory: Path) -> Path:
        """The data disk's file in `directory`."""
        return directory / "data.qcow2"

    @staticmethod
    def moving_disk_in(directory: Path) -> Path:
        """An unfinished copy of the data disk; unusable until it is renamed."""
        return directory / ".data.qcow2.moving"

    @property
    def blank_disk(self) -> Path:
        """An empty file of the data disk's size; exists only while the disk is being erased."""
        return self.machine / "blank.raw"

    @property
    def operation_journal(self) -> Path:
        """Progress of a long operation; exists only during it. See backend/agent/core/journal.py."""
        return self.machine / "operation.json"

    @property
    def run_record(self) -> Path:
        """What the running QEMU was started with; written before it starts, removed after it has ended."""
        return self.machine / "run.json"

    @property
    def desired(self) -> Path:
        """What the user requested last; see backend/agent/core/desired_state.py."""
        return self.machine / "desired.json"

    @property
    def suspended_record(self) -> Path:
        """What the saved state of a suspended machine belongs to; see backend/vm/suspended.py."""
        return self.machine / "suspended.json"

    @property
    def suspended_state(self) -> Path:
        """Memory and processor state of a suspended machine: contains everything that was in its containers' memory."""
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
        """Peak usage of this computer by the running machine."""
        return self.machine / "usage-peaks.json"

    @property
    def guest_inputs(self) -> Path:
        """Files for the guest, passed by fw_cfg."""
        return self.machine / "inputs"

    @property
    def used_config(self) -> Path:
        """Settings of the machine's last start, to compute what a restart would change."""
        return self.machine / "config-used.json"

    @property
    def used_daemon_json(self) -> Path:
        """The user's engine options at the machine's last start."""
        return self.guest_inputs / "daemon.json"

    @property
    def engine_options(self) -> Path:
        """Engine options with Wherry's own, as the guest gets them."""
        return self.guest_inputs / "engine-options.json"

    @property
    def published_addresses(self) -> Path:
        """Aliases in the guest's loopback for addresses of the host; see backend/net/aliases.py."""
        return self.machine / "published-addresses.json"

    @property
    def used_corporate_network(self) -> Path:
        """Proxies and certificates of the machine's last start, without passwords."""
        return self.machine / "company-used.json"

    @property
    def resolver_port(self) -> Path:
        """Port of the agent's DNS server for the guest, on 127.0.0.1."""
        return self.machine / "resolver-port"

    @property
    def verdicts(self) -> Path:
        """Results of trying accelerators on this host."""
        return self.machine / "accelerators.json"

    @property
    def image_stamp(self) -> Path:
        """Size and time of verified image files, so that they are hashed only once."""
        return self.machine / "image-verified.json"

    @property
    def image_pin(self) -> Path:
        """The guest image used by the machine; see backend/agent/boot/images.py."""
        return self.machine / "image.json"

    @property
    def agent_lock(self) -> Path:
        """Locked by the agent while it runs; decides which process owns the machine."""
        return self.home / "agent.lock"

    @property
    def keeper_lock(self) -> Path:
        """Locked by the keeper of the docker socket, where the session has no manager that starts it."""
        return self.home / "keeper.lock"

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
        """Output of the agent's process: empty unless it failed to start."""
        return self.logs / "agent.out"

    @property
    def qemu_log(self) -> Path:
        """QEMU's messages in its last run."""
        return self.logs / "qemu.log"

    @property
    def previous_serial_log(self) -> Path:
        """Output of the guest's console in the run before the last."""
        return self.logs / "serial.previous.log"

    @property
    def serial_log(self) -> Path:
        """Output of the guest's console in the last run."""
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
    def keeper_socket(self) -> Path:
        """Where the keeper hands the docker socket to the agent; see backend/host/session/keeper.py."""
        return self.run / "keeper.sock"

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
        """The guest's serial console (bidirectional)."""
        return self.run / "console.sock"
