"""The guest of the fake QEMU: its boot in stages, control port and services, controlled by cues."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

PANIC = "[    1.234567] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)"
KERNEL_ALIVE = "wherry: kernel alive"
_POLL_S = 0.01


class FakeGuest:
    """Boots as the cues say; they are listed in `tests/fakes/qemu.py`."""

    def __init__(
        self,
        cues: dict[str, Any],
        *,
        console: Callable[[str], None],
        end: Callable[[int], None],
        inputs: dict[str, str],
        received: TextIO,
        lines: Path,
    ) -> None:
        """The guest is powered off at first.

        Args:
            cues: deviations from normal behaviour.
            console: prints a line on the serial console.
            end: ends QEMU with an exit code.
            inputs: the fw_cfg files by name.
            received: log of every line from the host.
            lines: file for lines sent to the engine.
        """
        self.status = "running"
        """The answer to query-status."""
        self._cues = cues
        self._console = console
        self._end = end
        self._inputs = inputs
        self._received = received
        self._lines = lines
        self._stages: dict[str, str] = {}
        self._started = time.monotonic()
        self._clients: set[asyncio.StreamWriter] = set()
        self._ssh_up = False
        self._engine_up = False
        self._clock_offset_s = float(cues.get("clock_offset", 0.0))
        self._frozen = False
        self._tasks: set[asyncio.Task[None]] = set()

    async def boot(self) -> None:
        """Run the boot, from the kernel's first line to the engine's first answer."""
        if "die_after" in self._cues:
            asyncio.get_running_loop().call_later(float(self._cues["die_after"]), self._end, 1)
        await self._held("kernel")
        if self._cues.get("kernel_hang"):
            return
        if self._cues.get("internal_error"):
            self.status = "internal-error"
            return
        if self._cues.get("guest_panic") == "kernel":
            self._panic()
        self._console(KERNEL_ALIVE)
        await self._held("guest")
        if self._cues.get("services_hang"):
            return
        if self._cues.get("guest_panic") == "guest":
            self._panic()
        for name in ("init", "data", "network"):
            self._reach(name)
        await self._held("ssh")
        self._ssh_up = not self._cues.get("ssh_refused")
        self._reach("sshd")
        await self._held("engine")
        self._reach("containerd")
        self.say("service dockerd started")
        self._reach("dockerd-started")
        self._engine_up = True
        self._reach("dockerd")
        self._begin(self._restart_engine_on_cue())
        if path := self._cues.get("poweroff_when"):
            await self._until(Path(path).exists)
            await self._power_off()

    def save(self) -> dict[str, Any]:
        """The state of a suspended guest."""
        return {"stages": self._stages}

    async def go_on(self, state: dict[str, Any]) -> None:
        """Resume from a saved state."""
        for name, line in state.get("stages", {}).items():
            self._stages[name] = line
            self.say(line)
        self._ssh_up = not self._cues.get("ssh_refused")
        self._engine_up = "dockerd" in self._stages
        self._begin(self._restart_engine_on_cue())

    async def _restart_engine_on_cue(self) -> None:
        """While the file named by `engine_away` exists, dockerd is down."""
        path = self._cues.get("engine_away")
        while path:
            await self._until(Path(path).exists)
            self._engine_up = False
            self.say("service dockerd exited 1")
            await self._until(lambda: not Path(path).exists())
            self._engine_up = True
            self.say("service dockerd started")

    async def _restart(self, service: str) -> None:
        """Restart dockerd, which also ends its hang, unless that is set to last."""
        if service != "dockerd":
            return
        self._engine_up = False
        self.say("service dockerd exited 0")
        cue = self._cues.get("engine_hang")
        if isinstance(cue, str) and not self._cues.get("engine_hang_lasts"):
            Path(cue).unlink(missing_ok=True)
        await asyncio.sleep(0.2)
        self._engine_up = True
        self.say("service dockerd started")

    @property
    def is_hung(self) -> bool:
        """Whether the guest accepts lines without acting on them."""
        cue = self._cues.get("guest_hang")
        return isinstance(cue, str) and Path(cue).exists()

    @property
    def engine_accepts(self) -> bool:
        """Whether the engine's socket exists."""
        return self._engine_up

    @property
    def engine_answers(self) -> bool:
        """Whether the engine answers accepted connections."""
        cue = self._cues.get("engine_hang")
        return not (Path(cue).exists() if isinstance(cue, str) else cue)

    def _ssh_is_cut(self) -> bool:
        cue = self._cues.get("ssh_cut")
        return isinstance(cue, str) and Path(cue).exists()

    # -- the control port -----------------------------------------------------------------------------------------
    async def serve_control(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve the only client of the control port until it disconnects."""
        self._clients.add(writer)
        try:
            while line := await reader.readline():
                self._received.write(line.decode("utf-8", errors="replace"))
                self._obey(line.decode("utf-8", errors="replace").split())
                await writer.drain()
        except (ConnectionError, ValueError):
            pass
        finally:
            self._clients.discard(writer)

    def say(self, line: str) -> None:
        """Send a line to the host, if it is connected."""
        for client in self._clients:
            with contextlib.suppress(ConnectionError):
                client.write(line.encode() + b"\n")

    def _obey(self, words: list[str]) -> None:
        match words:
            case ["hello"]:
                for line in self._cues.get("babble", ()):
                    self.say(line)
                for line in self._stages.values():
                    self.say(line)
            case _ if self.is_hung:
                self._begin(self._obey_later(words))
            case ["ping", name]:
                now = time.time() + self._clock_offset_s
                self.say(f"pong {name} {time.monotonic() - self._started:.2f} {now:.6f}")
            case ["time", epoch]:
                self._clock_offset_s = float(epoch) - time.time()
                self.say("ok")
            case ["freeze" | "thaw" as command, name]:
                self._freeze(command, name)
            case ["restart", service, name]:
                self.say(f"done {name}")
                self._begin(self._restart(service))
            case ["resolver", _]:
                pass
            case ["reclaim", name]:
                self.say(f"done {name} /data: 0 bytes trimmed")
            case ["poweroff"]:
                self.say("ok")
                if not self._cues.get("ignore_powerdown"):
                    self._begin(self._power_off())
            case _:
                self.say(f"error unknown command {' '.join(words[:1])}")

    async def _obey_later(self, words: list[str]) -> None:
        await self._until(lambda: not self.is_hung)
        self._obey(words)

    def _freeze(self, command: str, name: str) -> None:
        cue = self._cues.get("freeze")
        if cue == "unknown":
            self.say(f"error unknown command {command}")
        elif cue == "refused" and command == "freeze":
            self.say(f"failed {name} Operation not supported")
        elif not (cue == "hang" and command == "freeze") and not (command == "thaw" and self._cues.get("thaw_lost")):
            was, self._frozen = self._frozen, command == "freeze"
            self.say(f"failed {name} it was not frozen any more" if command == "thaw" and not was else f"done {name}")

    async def _power_off(self) -> None:
        for line in self._cues.get("stopping", ()):
            self.say(f"stopping {line}")
        await self._held("off")
        self._reach("off")
        for client in self._clients:
            with contextlib.suppress(ConnectionError):
                await client.drain()
        self._end(0)

    # -- SSH ------------------------------------------------------------------------------------------------------
    def serve_ssh(self, connection: socket.socket) -> None:
        """Accept a connection to port 22. Serves it in a thread, or closes it while sshd is not up."""
        if not self._ssh_up or self._ssh_is_cut():
            connection.close()
            return

        def serve() -> None:
            from tests.fakes.sshd import (
                Engine,
                Figures,
                SshServer,
            )  # importing paramiko takes a fifth of a second, which must not delay the monitor

            engine = Engine(
                accepts=lambda: self.engine_accepts,
                answers=lambda: self.engine_answers,
                lines=self._lines,
                containers=self._cues.get("containers"),
            )
            server = SshServer(
                host_key=Path(self._inputs["ssh-host-key"]),
                authorized_keys=Path(self._inputs["authorized-keys"]),
                engine=engine,
                figures=Figures(
                    lambda line: print(line, file=self._received, flush=True), exit_code=self._cues.get("stats_exit")
                ),
                cut=self._ssh_is_cut,
            )
            server.serve(connection)

        threading.Thread(target=serve, daemon=True).start()

    # -- helpers ---------------------------------------------------------------------------------------------------
    def _reach(self, name: str) -> None:
        self._stages[name] = f"stage {name} {time.monotonic() - self._started:.2f}"
        self.say(self._stages[name])

    def _panic(self) -> None:
        self._console(PANIC)
        self._end(0)

    async def _held(self, step: str) -> None:
        """Wait for the file that the cue `hold` names for this step."""
        path = self._cues.get("hold", {}).get(step)
        if path:
            await self._until(Path(path).exists)

    async def _until(self, holds: Callable[[], bool]) -> None:
        while not holds():
            await asyncio.sleep(_POLL_S)

    def _begin(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
