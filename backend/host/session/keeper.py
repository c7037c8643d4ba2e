"""The keeper: a small program that owns the listening docker socket of one machine while no agent does.

It accepts nothing itself. When a client waits on the socket and no agent serves it, it starts one; the agent asks for
the socket on the keeper's own socket and gets a copy of it (SCM_RIGHTS). The agent holds that connection open for as
long as it lives, so that the keeper knows without asking when it is its turn again. It sleeps in one `poll` and never
wakes up by itself.

It never binds: whoever starts it hands both sockets over: systemd's or launchd's user manager, the agent, or `start` at
login. It imports nothing of this project and little of Python (no pathlib), because it stays in memory: run it by its
path, with `python -I -S`.

    keeper.py --kind own|systemd|launchd --docker PATH --control PATH [--fds DOCKER,CONTROL,LOCK] --output FILE
              -- AGENT ARGUMENT...

Requests are lines of JSON: `{"want": "listener"|"state"|"end", "agent": [...], "pid": N}`. The reply is a line, too,
and for "listener" carries the descriptor. Old and new versions meet here after an upgrade: only add to it.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import select
import signal
import socket
import sys
import time

ACTIVATED = ("systemd", "launchd")
"""Kinds of which another program owns the sockets and starts a keeper whenever one is needed."""
START_S = 30.0
"""How long an agent that was started may take until it asks for the socket."""
RETRY_S = 0.2
"""Before the next try, after an agent has ended because another one owns the machine: that one starts or ends."""
REQUEST_S = 2.0
ALREADY_OWNED = 3
"""The agent's exit code when another agent owns the machine; see backend/control/launch.py."""
_REQUEST_BYTES = 65_536
_TAIL_BYTES = 600
_FIRST_ACTIVATED = 3


class Keeper:
    """One per machine."""

    def __init__(
        self,
        docker: socket.socket,
        control: socket.socket,
        *,
        kind: str,
        paths: tuple[str, str],
        output: str,
        agent: list[str],
    ) -> None:
        self._docker = docker
        self._control = control
        self._kind = kind
        self._paths = paths
        self._inodes = [inode_of(path) for path in paths]
        self._output = output
        self._agent = agent
        self._holder: socket.socket | None = None
        self._child = 0
        self._starting_until = 0.0
        self._retry_at = 0.0
        self._ended = False

    def run(self) -> None:
        """Keep the endpoint until told to end."""
        woken, wake = os.pipe()
        for descriptor in (woken, wake):
            os.set_blocking(descriptor, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._end)
        for name in ("SIGCHLD", "SIGIO"):
            signal.signal(getattr(signal, name), lambda *_: None)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        watched = self._watch_directory()
        try:
            while not self._ended:
                self._turn(woken)
        finally:
            if watched >= 0:
                os.close(watched)
            self._leave()

    def _turn(self, woken: int) -> None:
        """Wait for whatever happens next, and see to it."""
        poll = select.poll()
        poll.register(woken, select.POLLIN)
        poll.register(self._control, select.POLLIN)
        if self._holder is not None:
            poll.register(self._holder, select.POLLIN)
        is_on_guard = self._holder is None and not self._starting_until
        if is_on_guard:
            poll.register(self._docker, select.POLLIN)
        due = [when for when in (self._starting_until, self._retry_at) if when]
        timeout = max(0, int((min(due) - time.monotonic()) * 1000) + 1) if due else None
        ready = {descriptor for descriptor, _ in poll.poll(timeout)}
        if woken in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(woken, 4096)
            self._reap()
            if self._is_replaced():
                self._ended = True
                return
        if self._holder is not None and self._holder.fileno() in ready:
            self._hear_holder()
        if self._control.fileno() in ready:
            self._serve_request()
        if is_on_guard and self._holder is None and self._docker.fileno() in ready:
            self._starting_until = time.monotonic() + START_S
            self._spawn()
        elif self._starting_until:
            self._see_to_start()
        if self._kind in ACTIVATED and self._holder is None and not self._starting_until:
            # The manager listens again, and starts the next keeper for whoever comes.
            self._ended = not (is_readable(self._docker) or is_readable(self._control))

    # -- the agent ------------------------------------------------------------------------------------------------
    def _spawn(self) -> None:
        """Start an agent. It asks for the socket as soon as it can serve it."""
        self._retry_at = 0.0
        if self._is_replaced():  # the machine's folder was moved or removed: nobody is to make it again
            self._ended = True
            return
        try:
            output = os.open(self._output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        except OSError:
            output = os.open(os.devnull, os.O_WRONLY)
        self._child = os.fork()
        if self._child:
            os.close(output)
            return
        try:
            os.setsid()
            os.umask(0o077)
            signal.set_wakeup_fd(-1)
            for name in ("SIGPIPE", "SIGCHLD", "SIGIO", "SIGHUP", "SIGTERM", "SIGINT"):
                signal.signal(getattr(signal, name), signal.SIG_DFL)
            nothing = os.open(os.devnull, os.O_RDONLY)
            os.dup2(nothing, 0)
            os.dup2(output, 1)
            os.dup2(output, 2)
            os.execvp(self._agent[0], self._agent)  # noqa: S606 -- its words are a list
        except OSError as error:
            os.write(output, f"{self._agent[0]}: {error.strerror}\n".encode())
        finally:
            os._exit(127)

    def _reap(self) -> None:
        """Notice that an agent has ended which never asked for the socket."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            if pid != self._child:
                continue
            self._child = 0
            if not self._starting_until:
                continue
            code = os.waitstatus_to_exitcode(status)
            if code in (0, ALREADY_OWNED) or code < 0:  # or somebody has killed it
                self._retry_at = time.monotonic() + RETRY_S
            else:
                self._starting_until = 0.0
                self._refuse_waiting()

    def _end_child(self) -> None:
        """End an agent that was started and is not needed: it would become the machine's when the present one ends."""
        if self._child:
            with contextlib.suppress(OSError):
                os.kill(self._child, signal.SIGTERM)
            self._child = 0

    def _see_to_start(self) -> None:
        now = time.monotonic()
        if now >= self._starting_until:
            self._starting_until = self._retry_at = 0.0
            self._refuse_waiting()
        elif self._retry_at and now >= self._retry_at:
            if is_readable(self._docker):
                self._spawn()
            else:  # the client did not wait
                self._starting_until = self._retry_at = 0.0

    def _hear_holder(self) -> None:
        """The agent says nothing on this connection: it has ended."""
        assert self._holder is not None
        with contextlib.suppress(OSError):
            if self._holder.recv(4096):
                return
        self._holder.close()
        self._holder = None

    # -- requests -------------------------------------------------------------------------------------------------
    def _serve_request(self) -> None:
        try:
            connection, _ = self._control.accept()
        except OSError:
            return
        connection.settimeout(REQUEST_S)
        keep = False
        try:
            line = b""
            while not line.endswith(b"\n") and len(line) < _REQUEST_BYTES and (more := connection.recv(4096)):
                line += more
            request = json.loads(line)
            keep = self._answer(connection, request if isinstance(request, dict) else {})
        except (OSError, ValueError):
            pass  # a client that left, or says nothing
        finally:
            if not keep:
                connection.close()

    def _answer(self, connection: socket.socket, request: dict[str, object]) -> bool:
        """Reply. Returns whether the connection stays: it is the agent's."""
        state = {"keeper": 1, "pid": os.getpid(), "kind": self._kind, "held": self._holder is not None}
        reply = json.dumps(state).encode() + b"\n"
        want = request.get("want")
        if want == "listener":
            agent = request.get("agent")
            if isinstance(agent, list) and agent and all(isinstance(word, str) for word in agent):
                self._agent = agent  # after an upgrade it may be another program
            socket.send_fds(connection, [reply], [self._docker.fileno()])
            if is_readable(connection):  # it has ended meanwhile
                return False
            if request.get("pid") != self._child:
                self._end_child()  # one that a person started was faster
            if self._holder is not None:
                self._holder.close()
            self._holder = connection
            self._starting_until = self._retry_at = 0.0
            return True
        connection.sendall(reply)
        if want == "end":
            self._ended = True
        return False

    def _refuse_waiting(self) -> None:
        """Tell the clients that wait why nobody serves them; an agent is tried again for the next one."""
        said = ""
        with contextlib.suppress(OSError), open(self._output, "rb") as file:  # noqa: PTH123
            said = file.read()[-_TAIL_BYTES:].decode("utf-8", "replace").strip()
        text = f"Wherry's agent does not start. Run: wherry start\n{said}".strip()
        body = json.dumps({"message": text}).encode()
        head = (
            "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nConnection: close\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        while is_readable(self._docker):
            try:
                connection, _ = self._docker.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                connection.settimeout(1)
                connection.recv(_REQUEST_BYTES)
                connection.sendall(head.encode() + body)

    # -- the files ------------------------------------------------------------------------------------------------
    def _watch_directory(self) -> int:
        """Have SIGIO sent when a file of the sockets' directory is removed or replaced (Linux); -1: it cannot be."""
        if self._kind in ACTIVATED:
            return -1
        try:
            import fcntl

            descriptor = os.open(self._paths[0].rpartition("/")[0], os.O_RDONLY)
            fcntl.fcntl(descriptor, fcntl.F_NOTIFY, fcntl.DN_DELETE | fcntl.DN_RENAME | fcntl.DN_MULTISHOT)
        except (OSError, AttributeError):
            return -1
        return descriptor

    def _is_replaced(self) -> bool:
        """Whether the docker socket's path leads nowhere or to another socket."""
        return self._kind not in ACTIVATED and inode_of(self._paths[0]) != self._inodes[0]

    def _leave(self) -> None:
        """Remove what is ours. A docker socket that an agent serves is from now on the agent's."""
        if self._starting_until:
            self._end_child()
        if self._kind in ACTIVATED:
            return
        for path, inode, stays in zip(self._paths, self._inodes, (self._holder is not None, False), strict=True):
            with contextlib.suppress(OSError):
                if not stays and inode_of(path) == inode:
                    os.unlink(path)  # noqa: PTH108

    def _end(self, *_: object) -> None:
        self._ended = True


def inode_of(path: str) -> int:
    """The inode of the file at a path; 0: there is none."""
    try:
        return os.lstat(path).st_ino
    except OSError:
        return 0


def is_readable(listener: socket.socket) -> bool:
    """Whether a client waits."""
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    return bool(poll.poll(0))


def sockets_from_launchd() -> list[int]:
    """The descriptors of the entries "Docker" and "Control" in launchd's Sockets. Raises OSError."""
    import ctypes

    activate = ctypes.CDLL(None).launch_activate_socket
    found = []
    for name in (b"Docker", b"Control"):
        descriptors = ctypes.POINTER(ctypes.c_int)()
        count = ctypes.c_size_t()
        error = activate(name, ctypes.byref(descriptors), ctypes.byref(count))
        if error or count.value < 1:
            raise OSError(error or errno.ENOENT, "launchd gave no socket")
        found.append(descriptors[0])
    return found


def main(arguments: list[str]) -> int:
    """Entry of the process; returns its exit code."""
    split = arguments.index("--")
    given, agent = arguments[:split], arguments[split + 1 :]
    options = dict(zip(given[::2], given[1::2], strict=True))
    kind = options["--kind"]
    if kind == "launchd":
        docker_fd, control_fd = sockets_from_launchd()
    elif kind == "systemd":
        docker_fd, control_fd = _FIRST_ACTIVATED, _FIRST_ACTIVATED + 1
        for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"):
            os.environ.pop(name, None)
    else:
        docker_fd, control_fd, lock_fd = (int(number) for number in options["--fds"].split(","))
        os.set_inheritable(lock_fd, False)  # held for as long as this process lives
    for descriptor in (docker_fd, control_fd):
        os.set_inheritable(descriptor, False)
        os.set_blocking(descriptor, False)
    Keeper(
        socket.socket(fileno=docker_fd),
        socket.socket(fileno=control_fd),
        kind=kind,
        paths=(options["--docker"], options["--control"]),
        output=options["--output"],
        agent=agent,
    ).run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
