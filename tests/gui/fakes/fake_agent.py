"""An agent without a machine: serves the real protocol on a real local socket, and misbehaves on request.

In a test: `with FakeAgent(path) as agent: agent.publish(...)`. By hand, to see the window live:
`python -m tests.gui.fakes.fake_agent SOCKET [--engine URL]`; it starts and stops on request, one step per second.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

import msgspec

from backend.control.protocol import (
    PROTOCOL,
    Hello,
    NoticePush,
    ReplyLine,
    RequestLine,
    StatusPush,
    decode_from_client,
    encode,
)
from backend.errors import Problem, ProblemCode
from backend.messages import verbatim
from backend.model import Desired, EngineEndpoint, MachineStatus, Notice, OperationStatus, Phase, StepState
from tests.gui.scenes import maintenance_scenes, samples, settings_samples

DONE: Final[dict[str, dict[str, Any]]] = {
    "continue": {"continued": True},
    "checkpoints.create": {"id": "0badcafe"},
    "checkpoints.restore": {"present": "0badcafe"},
    "update.apply": {"version": "2026.12.0", "before": "2026.11.0", "checkpoint": "0badcafe"},
    "disk.grow": {"size_gib": 96, "now": True},
    "disk.move": {"path": "/mnt/big/data.qcow2"},
    "reset": {"existed": True},
}
"""Results of successful requests, by request name; the others have an empty result."""
_FITS = 16_384
"""Number of bytes that a socket accepts while its peer does not read."""


class ReceivedRequest(NamedTuple):
    """A received request."""

    id: int
    name: str
    args: dict[str, Any]


class FakeAgent:
    """A listener and a thread for each client. Tests control it by attributes and methods."""

    def __init__(self, path: Path, status: MachineStatus | None = None) -> None:
        self.path = path
        self.status = status or samples.status(Phase.STOPPED)
        self.requests: list[ReceivedRequest] = []
        self.greets = True
        self.protocol = PROTOCOL
        self.refuses: Problem | None = None
        self.answers: dict[str, dict[str, Any] | Problem] = {}
        """Replies other than DONE, by request name."""
        self.holds: set[str] = set()
        """Names of requests that get no reply until `release`."""
        self._held: list[tuple[socket.socket, ReceivedRequest]] = []
        self.on_request: Callable[[ReceivedRequest], None] | None = None
        self.connections = 0
        self._lock = threading.Lock()
        self._clients: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener: socket.socket | None = None

    def __enter__(self) -> Self:
        self.listen()
        return self

    def __exit__(self, *_error: object) -> None:
        self.die()

    def listen(self) -> None:
        """Start listening, also again after `die`."""
        self.path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(os.fspath(self.path))
        listener.listen()
        self._listener = listener
        self._spawn(lambda: self._accept(listener))

    def die(self) -> None:
        """Close all connections without a message, as a killed process does."""
        with self._lock:
            listener, self._listener = self._listener, None
            clients, self._clients = self._clients, []
        for one in (listener, *clients):
            if one is not None:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
                one.close()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(5)
                assert not thread.is_alive()
        self._threads.clear()
        self.path.unlink(missing_ok=True)

    def publish(self, status: MachineStatus) -> None:
        """Set the machine's status and send it to all clients."""
        self.status = status
        self.send(encode(StatusPush(status=status)))

    def received(self, name: str) -> list[dict[str, Any]]:
        """The arguments of all requests of that name, oldest first."""
        return [request.args for request in self.requests if request.name == name]

    def release(self, name: str) -> None:
        """Reply to the held requests of that name."""
        self.holds.discard(name)
        held, self._held = self._held, [pair for pair in self._held if pair[1].name != name]
        for client, request in held:
            if request.name == name:
                self._send(client, encode(self._reply(request)))

    def reply(self, request: ReceivedRequest, answer: dict[str, Any] | Problem) -> None:
        """Reply to one held request, out of order."""
        held = next(pair for pair in self._held if pair[1] == request)
        self._held.remove(held)
        self._send(held[0], encode(_line(request, answer)))

    def _reply(self, request: ReceivedRequest) -> ReplyLine:
        return _line(request, self.answers.get(request.name, self.refuses or DONE.get(request.name, {})))

    def notice(self, words: str) -> None:
        """Send a notice."""
        self.send(encode(NoticePush(notice=Notice(level="info", text=verbatim(words)))))

    def send(self, data: bytes) -> None:
        """Send any bytes to every client."""
        with self._lock:
            clients = list(self._clients)
        for client in clients:
            if len(data) > _FITS:
                # The reader is the calling thread, which would wait for itself.
                self._spawn(lambda client=client: self._send(client, data))  # type: ignore[misc]
            else:
                self._send(client, data)

    @staticmethod
    def _send(client: socket.socket, data: bytes) -> None:
        with contextlib.suppress(OSError):
            client.sendall(data)

    def _spawn(self, run: Callable[[], None]) -> None:
        thread = threading.Thread(target=run, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            with self._lock:
                self._clients.append(client)
                self.connections += 1
            self._spawn(lambda client=client: self._serve(client))  # type: ignore[misc]

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), client.makefile("rb") as lines:
            for line in lines:
                message = decode_from_client(line)
                if isinstance(message, Hello):
                    if self.greets:
                        client.sendall(encode(Hello(protocol=self.protocol, version="fake", pid=os.getpid())))
                        client.sendall(encode(StatusPush(status=self.status)))
                else:
                    self._take(client, message)

    def _take(self, client: socket.socket, line: RequestLine) -> None:
        request = ReceivedRequest(line.id, line.name, msgspec.json.decode(line.args))
        self.requests.append(request)
        if request.name in self.holds:
            self._held.append((client, request))
        else:
            client.sendall(encode(self._reply(request)))
        if self.on_request is not None:
            self.on_request(request)


def _line(request: ReceivedRequest, answer: dict[str, Any] | Problem) -> ReplyLine:
    if isinstance(answer, Problem):
        return ReplyLine(id=request.id, problem=answer)
    return ReplyLine(id=request.id, result=msgspec.Raw(msgspec.json.encode(answer)))


_STEPS: Final = 8
_LONG: Final = ("update.apply", "checkpoints.restore", "disk.move", "disk.grow", "reset")
_WISHES: Final = ("start", "stop", "restart", "operation.cancel", *_LONG)


class Director:
    """Simulates a machine for manual tests: each step of a start, stop or operation takes a second."""

    def __init__(self, agent: FakeAgent, engine_url: str) -> None:
        self._agent = agent
        self._url = engine_url
        self._asked = threading.Event()
        self._last = ReceivedRequest(0, "stop", {})
        agent.on_request = self._on_request
        agent.holds.update(_LONG)
        agent.answers |= {
            "config.get": settings_samples.config_answer(),
            "config.set": settings_samples.config_answer(),
            "daemon.get": settings_samples.daemon_answer(),
            "context.get": settings_samples.context_answer(),
            "autostart.get": {"on": False, "place": "x"},
            "checkpoints.list": maintenance_scenes.checkpoints_answer(40),
            "update.check": maintenance_scenes.UPDATE,
            "reclaim": {"memory_before": 3 << 30, "memory_after": 1 << 30, "disk_before": None, "disk_after": None},
        }

    def run(self) -> None:
        """Run until interrupted."""
        while True:
            self._asked.wait()
            self._asked.clear()
            request = self._last
            if request.name in ("stop", "restart"):
                self._show(samples.status(Phase.STOPPING, desired=Desired.STOPPED))
                self._asked.wait(1)
                suspends = request.args.get("policy") == "suspend"
                self._show(samples.status(Phase.SUSPENDED if suspends else Phase.STOPPED))
            if request.name in ("start", "restart"):
                self._start()
            if request.name in _LONG:
                self._operate(request)

    def _start(self) -> None:
        for at, phase in enumerate((Phase.PREPARING, Phase.BOOTING, Phase.BOOTING, Phase.BOOTING, Phase.CONNECTING)):
            self._show(samples.status(phase, steps=samples.steps(at)))
            if self._asked.wait(1):
                return
        self._show(self._running())

    def _running(self) -> MachineStatus:
        running = samples.status(Phase.RUNNING, image_offer="2026.12.0")
        return dataclasses.replace(running, endpoint=EngineEndpoint(url=self._url, ready=True))

    def _operate(self, request: ReceivedRequest) -> None:
        """Simulate an operation, which `operation.cancel` ends early."""
        was = self._agent.status
        for number in range(_STEPS):
            operation = OperationStatus(
                name=request.name,
                title=verbatim(request.name),
                step=verbatim(f"Step {number + 1} of {_STEPS}"),
                fraction=number / _STEPS,
                cancellable=True,
            )
            self._show(dataclasses.replace(was, operation=operation))
            if self._asked.wait(1):
                self._agent.answers[request.name] = Problem(code=ProblemCode.CANCELLED, summary=verbatim("Cancelled."))
                break
        self._show(was)
        self._agent.release(request.name)
        self._agent.answers.pop(request.name, None)
        self._agent.holds.add(request.name)
        self._asked.clear()

    def _show(self, status: MachineStatus) -> None:
        assert all(step.state in StepState for step in status.steps)
        self._agent.publish(dataclasses.replace(status, seq=self._agent.status.seq + 1))

    def _on_request(self, request: ReceivedRequest) -> None:
        if request.name in _WISHES:
            self._last = request
            self._asked.set()


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser()
    parser.add_argument("socket", type=Path)
    parser.add_argument("--engine", default=os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock"))
    options = parser.parse_args()
    with FakeAgent(options.socket) as agent, contextlib.suppress(KeyboardInterrupt):
        Director(agent, options.engine).run()


if __name__ == "__main__":
    main()
