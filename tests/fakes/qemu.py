"""A fake QEMU: a process that accepts our command line and serves real QMP on a real socket.

The real driver starts it through the setting `qemu.binary`, with the launcher that `install` writes. Its likeness to
QEMU is verified with the real one by `tests/contract/test_vm_driver.py`: one client of the monitor at a time, a
greeting for each, the data disk's lock, the pid file, sockets removed at exit unless it was killed.

Cues make it misbehave. They are a JSON object in `fake-cues.json` beside the data disk, read at start:

    exit_early      {"stderr": TEXT, "code": N}: exits at once with this message
    no_monitor      runs, but never opens its monitor
    kernel_hang     the kernel never prints anything
    internal_error  query-status reports internal-error, and the CPUs are stopped
    guest_panic     "kernel" or "guest": panics before or after the kernel's first line, and exits
    services_hang   the kernel boots, its services never start
    ssh_refused     sshd never accepts a login
    engine_hang     true, or a file: (while it exists) the engine accepts connections and does not answer
    engine_hang_lasts  a restart of dockerd does not end engine_hang
    guest_hang      a file: while it exists, the guest does not act on commands; afterwards it does
    clock_offset    seconds by which the guest's clock is ahead at start
    io_error        a file: while it exists, the processors are stopped as for a full host disk; "cont" removes it
    paused          a file: while it exists, the processors are paused; "cont" removes it
    deaf            a file: while it exists, the monitor accepts commands and does not answer
    engine_away     a file: while it exists, dockerd is down
    ssh_cut         a file: while it exists, every SSH connection breaks and none is accepted
    ignore_powerdown
    poweroff_when   a file: once it exists, the guest powers off by itself
    containers      a file: list of the engine's inspect answers of running containers
    stats_exit      the guest's `stats` program exits at once with this code
    migrate_blocked message: query-migrate reports that this machine cannot be migrated
    migrate_fails   "save" or "load"
    stopping        texts of lines "stopping TEXT" that the guest says when it is shut down
    freeze          "hang": never answers; "refused": cannot; "unknown": the image is too old for it
    thaw_lost       the guest does not answer the command to resume
    snapshot_fails  QEMU's message when taking a snapshot
    die_after       seconds after which it exits with code 1
    babble          lines that the guest sends first
    hold            {step: file}: steps launch, kernel, guest, ssh, engine, off wait until the file exists,
                    as does migrate
    only            {accelerator: cues}: cues for this accelerator only, which override the others

Each launch appends "PID ACCELERATOR" to `fake-launches.txt` in the same directory. Lines received on the guest's
control port are appended to `fake-received.txt`, and so are "stats begun" and "stats ended". The engine stores the
lines sent to it in `fake-lines.txt`.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import itertools
import json
import os
import shlex
import signal
import socket
import struct
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, NoReturn

from tests.fakes import snapshots
from tests.fakes.guest import FakeGuest
from tests.fakes.migration import FdChannel, Migration

CUES = "fake-cues.json"
LAUNCHES = "fake-launches.txt"
LINES = "fake-lines.txt"
RECEIVED_LINES = "fake-received.txt"
VERSION = "7.2.22"
_WRITE_BYTES = (101, 201)  # block/file-posix.c: RAW_LOCK_PERM_BASE and RAW_LOCK_SHARED_BASE, plus BLK_PERM_WRITE's bit

_LAUNCHER = """\
#!/bin/sh
case "$1 $2" in
"-version ") echo "QEMU emulator version {version} (a fake)"; exit 0 ;;
"-accel help") echo "Accelerators supported in QEMU binary:"; echo tcg; echo kvm; exit 0 ;;
"-help ") echo "-sandbox on[,obsolete=allow|deny]"; exit 0 ;;
esac
PYTHONPATH={root} exec {python} -m tests.fakes.qemu "$@"
"""


def install(directory: Path, *, version: str = VERSION) -> Path:
    """Write the program to which the setting `qemu.binary` is set."""
    directory.mkdir(parents=True, exist_ok=True)
    program = directory / "qemu-system-fake"
    root = Path(__file__).resolve().parent.parent.parent
    text = _LAUNCHER.format(version=version, root=shlex.quote(str(root)), python=shlex.quote(sys.executable))
    program.write_text(text, encoding="utf-8")
    program.chmod(0o755)
    return program


def lock_for_writing(path: Path) -> int:
    """Lock a disk image like QEMU. Returns the descriptor that holds the lock. Raises OSError when it is locked."""
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    for byte in _WRITE_BYTES:
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_RDLCK, os.SEEK_SET, byte, 1, 0))
    for byte in _WRITE_BYTES:
        asked = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, byte, 1, 0)
        answer = fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, asked)
        if struct.unpack("hhqqi4x", answer)[0] != fcntl.F_UNLCK:
            os.close(descriptor)
            raise BlockingIOError("another process has it")
    return descriptor


class CommandLine:
    """The parts of our command line that the fake needs."""

    def __init__(self, argv: list[str]) -> None:
        self.uuid = ""
        self.accelerator = ""
        self.pid_file = Path()
        self.inputs: dict[str, str] = {}
        self.files: dict[str, Path] = {}
        self.sockets: dict[str, Path] = {}
        self.console_log = Path()
        self.incoming = "-incoming" in argv
        for option, value in itertools.pairwise(argv):
            match option:
                case "-uuid":
                    self.uuid = value
                case "-accel":
                    self.accelerator = value.split(",", 1)[0]
                case "-pidfile":
                    self.pid_file = Path(value)
                case "-fw_cfg":
                    fields = _fields(value)
                    self.inputs[fields["name"].rsplit("/", 1)[-1]] = fields["file"]
                case "-blockdev" if "filename" in (fields := _fields(value)):
                    self.files[fields["node-name"]] = Path(fields["filename"])
                case "-chardev":
                    fields = _fields(value)
                    self.sockets[fields["id"]] = Path(fields["path"])
                    if "logfile" in fields:
                        self.console_log = Path(fields["logfile"])
        self.data_disk = self.files["data-file"]


def _fields(value: str) -> dict[str, str]:
    """Parse "a=b,c=d"; a doubled comma is a literal one."""
    fields = (part.replace("\0", ",").split("=", 1) for part in value.replace(",,", "\0").split(","))
    return {field[0]: field[1] for field in fields if len(field) == 2}


class FakeQemu:
    """The process."""

    def __init__(self, line: CommandLine, cues: dict[str, Any], lock: int) -> None:
        self._line = line
        self._lock = lock
        self._cues = cues
        self._forwards: dict[tuple[str, str, int], tuple[socket.socket, str, int]] = {}
        self._greeted = asyncio.Event()
        self._monitor_client: FdChannel | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._console_file = line.console_log.open("w", encoding="utf-8", buffering=1)
        received = (line.data_disk.parent / RECEIVED_LINES).open("a", encoding="utf-8", buffering=1)
        self._stands = line.incoming
        self._going_on = asyncio.Event()
        self._guest = FakeGuest(
            cues, console=self._print, end=self._end, inputs=line.inputs, received=received,
            lines=line.data_disk.parent / LINES,
        )  # fmt: skip
        self._migration = Migration(cues, save=self._guest.save, incoming=line.incoming)
        self._descriptors: list[int] = []

    async def run(self) -> None:
        """Open the sockets and run until the process is ended."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, self._end, 0)
        await self._serve_one_by_one("console", self._swallow)
        await self._serve_one_by_one("control", self._guest.serve_control)
        if not self._cues.get("no_monitor"):
            await self._serve_one_by_one("monitor", self._swallow)
            await self._greeted.wait()  # a real kernel is slower than our driver
        if self._line.incoming:
            await self._going_on.wait()
            await self._guest.go_on(self._migration.loaded or {})
        else:
            await self._guest.boot()
        await asyncio.get_running_loop().create_future()

    async def _serve_one_by_one(
        self, name: str, serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
    ) -> None:
        """Listen like a socket chardev: the next client is accepted after the last one has closed."""
        path = self._line.sockets[name]
        path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        listener.listen(1)
        listener.setblocking(False)

        async def accept() -> None:
            while True:
                connection, _ = await asyncio.get_running_loop().sock_accept(listener)
                if name == "monitor":
                    channel = FdChannel(connection)
                    try:
                        await self._serve_monitor(channel)
                    finally:
                        channel.close()
                    continue
                reader, writer = await asyncio.open_unix_connection(sock=connection)
                try:
                    await serve(reader, writer)
                finally:
                    writer.close()

        self._begin(accept())

    async def _swallow(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while await reader.read(4096):
                pass

    # -- the monitor ----------------------------------------------------------------------------------------------
    async def _serve_monitor(self, writer: FdChannel) -> None:
        self._descriptors = writer.descriptors
        major, minor, micro = (int(part) for part in VERSION.split("."))
        version = {"qemu": {"micro": micro, "minor": minor, "major": major}, "package": ""}
        negotiated = False
        try:
            self._send(writer, {"QMP": {"version": version, "capabilities": ["oob"]}})
            await writer.drain()
            async for request in _objects(writer.reader):
                name = request.get("execute", "")
                if not negotiated and name != "qmp_capabilities":
                    answer = _error("CommandNotFound", "Expecting capabilities negotiation with 'qmp_capabilities'")
                else:
                    negotiated = True
                    self._greeted.set()
                    self._monitor_client = writer
                    while "deaf" in self._cues and Path(self._cues["deaf"]).exists():
                        await asyncio.sleep(0.02)
                    answer = self._execute(name, request.get("arguments") or {})
                if "id" in request:
                    answer["id"] = request["id"]
                self._send(writer, answer)
                await writer.drain()
                if name == "quit":
                    self._end(0, reason="host-qmp-quit")
        except (ConnectionError, ValueError):
            pass  # the client closed, or sent invalid data: serve the next one
        finally:
            self._monitor_client = None

    def _execute(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        match name:
            case "qmp_capabilities" | "quit":
                return {"return": {}}
            case "query-status":
                status = self._halted() or self._guest.status
                if self._stands and status == "running":
                    status = "inmigrate" if self._migration.incoming else "paused"
                return {"return": {"status": status, "singlestep": False, "running": status == "running"}}
            case "query-block":
                full = self._halted() == "io-error"
                return {"return": [{"device": "", "io-status": "ok"}, {"io-status": "nospace" if full else "ok"}]}
            case "stop" | "cont":
                self._stands = name == "stop"
                if name == "cont":
                    self._going_on.set()
                    for cue in ("io_error", "paused"):
                        if cue in self._cues:
                            Path(self._cues[cue]).unlink(missing_ok=True)
                return {"return": {}}
            case "query-uuid":
                return {"return": {"UUID": self._cues.get("uuid", self._line.uuid)}}
            case "human-monitor-command":
                return {"return": self._human(str(arguments.get("command-line", "")))}
            case "blockdev-snapshot-internal-sync" if "snapshot_fails" in self._cues:
                return _error("GenericError", str(self._cues["snapshot_fails"]))
            case _ if name in snapshots.COMMANDS:
                return snapshots.execute(self._line.data_disk, self._lock, name, arguments)
        answer = self._migration.execute(name, arguments, self._descriptors)
        return answer or _error("CommandNotFound", f"The command {name} has not been found")

    def _halted(self) -> str | None:
        """Why the processors are stopped on cue; None when they run."""
        for cue, status in (("io_error", "io-error"), ("paused", "paused")):
            if cue in self._cues and Path(self._cues[cue]).exists():
                return status
        return None

    def _human(self, line: str) -> str:
        words = line.split()
        if words[:1] == ["hostfwd_add"]:
            return self._add_forward(words[2])
        if words[:1] == ["hostfwd_remove"]:
            protocol, address, host_port = words[2].split(":")
            forward = self._forwards.pop((protocol, address, int(host_port)), None)
            if forward is None:
                return f"host forwarding rule for {words[2]} not found\r\n"
            asyncio.get_running_loop().remove_reader(forward[0])
            forward[0].close()
            return f"host forwarding rule for {words[2]} removed\r\n"
        if words == ["info", "usernet"]:
            rows = "".join(
                f"  {protocol.upper()}[HOST_FORWARD] {held.fileno()} {address} {port} {ip} {guest} 0 0\r\n"
                for (protocol, address, port), (held, ip, guest) in self._forwards.items()
            )
            head = "  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ\r\n"
            return f"Hub -1 (net0):\r\n{head}{rows}"
        return f"unknown command: '{line}'\r\n"

    def _add_forward(self, rule: str) -> str:
        host, _, guest = rule.rpartition("-")
        protocol, address, host_port = host.split(":")
        guest_ip, guest_port = guest.split(":")
        kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
        held = socket.socket(socket.AF_INET, kind)
        try:
            if protocol == "tcp":
                held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            held.bind((address, int(host_port)))
            if protocol == "tcp":
                held.listen(1)
        except OSError:
            held.close()
            return f"could not set up host forwarding rule '{rule}'\r\n"
        held.setblocking(False)
        port = int(held.getsockname()[1])
        self._forwards[protocol, address, port] = (held, guest_ip or "10.0.2.15", int(guest_port))
        if protocol == "tcp" and guest_port == "22":
            self._begin(self._forward(held))
        return ""

    async def _forward(self, listener: socket.socket) -> None:
        while listener.fileno() >= 0:
            connection, _ = await asyncio.get_running_loop().sock_accept(listener)
            connection.setblocking(True)
            self._guest.serve_ssh(connection)

    def _send(self, writer: FdChannel, message: dict[str, Any]) -> None:
        writer.write(json.dumps(message).encode() + b"\r\n")

    # -- exit -----------------------------------------------------------------------------------------------------
    def _end(self, code: int, *, reason: str = "guest-shutdown") -> NoReturn:
        """Exit like QEMU: send the event, remove sockets and pid file. Immediately, whatever threads run."""
        if self._monitor_client is not None:
            now = time.time()
            stamp = {"seconds": int(now), "microseconds": int(now % 1 * 1e6)}
            data = {"guest": reason.startswith("guest"), "reason": reason}
            with contextlib.suppress(OSError, RuntimeError):
                event = json.dumps({"timestamp": stamp, "event": "SHUTDOWN", "data": data}).encode()
                os.write(self._monitor_client.get_extra_info("socket").fileno(), event + b"\r\n")
        for path in (*self._line.sockets.values(), self._line.pid_file):
            path.unlink(missing_ok=True)
        self._console_file.flush()
        os._exit(code)

    def _print(self, text: str) -> None:
        self._console_file.write(text + "\r\n")
        self._console_file.flush()

    def _begin(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _objects(reader: asyncio.StreamReader) -> AsyncIterator[dict[str, Any]]:
    """Yield JSON objects as they arrive: QEMU needs no separator between them, and its client library sends none."""
    decoder = json.JSONDecoder()
    pending = ""
    while chunk := await reader.read(65_536):
        pending = (pending + chunk.decode()).lstrip()
        while pending:
            try:
                request, end = decoder.raw_decode(pending)
            except json.JSONDecodeError:
                break  # incomplete
            pending = pending[end:].lstrip()
            yield request


def _error(kind: str, text: str) -> dict[str, Any]:
    return {"error": {"class": kind, "desc": text}}


def main(argv: list[str]) -> int:
    """Run as QEMU."""
    line = CommandLine(argv)
    place = line.data_disk.parent
    cues: dict[str, Any] = {}
    with contextlib.suppress(FileNotFoundError):
        cues = json.loads((place / CUES).read_text(encoding="utf-8"))
    cues = {**cues, **cues.get("only", {}).get(line.accelerator, {})}
    with (place / LAUNCHES).open("a", encoding="utf-8") as launches:
        launches.write(f"{os.getpid()} {line.accelerator}\n")
    if "exit_early" in cues:
        sys.stderr.write(cues["exit_early"]["stderr"] + "\n")
        return int(cues["exit_early"]["code"])
    held = cues.get("hold", {}).get("launch")
    while held and not Path(held).exists():
        time.sleep(0.01)
    try:
        disk = lock_for_writing(line.data_disk)
    except BlockingIOError:
        sys.stderr.write(
            'qemu-system-fake: -blockdev driver=qcow2,node-name=data: Failed to get "write" lock\n'
            f"Is another process using the image [{line.data_disk}]?\n"
        )
        return 1
    line.pid_file.write_text(f"{os.getpid()}\n", encoding="ascii")
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(FakeQemu(line, cues, disk).run())
    os.close(disk)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
