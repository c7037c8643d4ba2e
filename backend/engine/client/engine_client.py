"""Client of the engine's API, built on docker-py, which only this module and `socket` import.

An `EngineClient` is thread-safe. Every call has a deadline; an open stream has none, and is ended by `close()` from any
thread. Results are values of `types`; errors are `WherryError` with ENGINE_DOWN (no connection), ENGINE_SLOW (no answer
in time) or ENGINE_ERROR (an error answer).

Other modules of this package use `call` (one JSON answer) and `stream` (an endless answer) for what has no method here.
"""

from __future__ import annotations

import contextlib
import re
import socket
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Final, TypeVar

import requests
import urllib3
from docker import APIClient, auth
from docker.constants import DEFAULT_DOCKER_API_VERSION
from docker.errors import APIError, DockerException

from backend.engine.client.answers import (
    NOT_UNDERSTOOD,
    container_from_answer,
    events,
    is_debug_helper,
    not_understood,
    refused,
)
from backend.engine.client.details import ContainerDetails, details_from_answer
from backend.engine.client.duplex import Duplex
from backend.engine.client.log_records import FRAMED_BY_TYPE, LogBlock, log_items, log_query, wire_blocks
from backend.engine.client.pulling import PullProgress, pull_progress
from backend.engine.client.socket import open_api
from backend.engine.client.stream import EngineStream, down
from backend.engine.engine_json import read_answer
from backend.engine.spec.container_spec import with_tag
from backend.engine.types import (
    Container,
    ContainerAction,
    EngineEvent,
    EngineInfo,
    EngineVersion,
    RemovePolicy,
    VolumePolicy,
    clean_text,
)
from backend.errors import ProblemCode, WherryError, fail
from backend.json_reader import Json
from backend.messages import message

REQUEST_TIMEOUT_S: Final = 15
UPLOAD_TIMEOUT_S: Final = 600
"""Deadline for the engine's answer after the last byte: it unpacks the upload first."""
PULL_TIMEOUT_S: Final = 120
"""The engine answers a pull after its first request to the registry."""
ACTION_TIMEOUT_S: Final = 120
"""Deadline for a change of a container, beyond the time that the container may take to stop. Removing much data or
starting many containers at once is slow, not a failure."""
DEFAULT_GRACE_S: Final = 10
"""Seconds after which the engine kills a container that does not stop, if the container has no own stop timeout."""
ENDLESS_GRACE_S: Final = 86_400
"""Deadline for a container whose stop timeout is -1: the engine never kills it."""
_CONTAINER_ID: Final = re.compile(r"[0-9a-zA-Z][0-9a-zA-Z_.-]{0,255}")

_Result = TypeVar("_Result")
_Params = Mapping[str, str | int | bytes]


def _agree_version(url: str, timeout_s: int) -> str:
    """Negotiate the newest API version that both sides support.

    docker-py's own `version="auto"` does the same, but leaves its connection open when the engine does not answer.
    """
    with contextlib.closing(open_api(url, DEFAULT_DOCKER_API_VERSION, timeout_s)) as api:
        theirs = str(api.version(api_version=False)["ApiVersion"])
    return min(theirs, DEFAULT_DOCKER_API_VERSION, key=lambda text: [int(part) for part in text.split(".")])


class EngineClient:
    """Client of one engine; connects when it is created."""

    def __init__(self, url: str, timeout_s: int = REQUEST_TIMEOUT_S) -> None:
        """Connect and negotiate the API's version.

        Args:
            url: as in DOCKER_HOST.
            timeout_s: for each request, and for each step of one.

        Raises:
            WherryError: ENGINE_DOWN or ENGINE_ERROR.
        """
        self.url = url
        self._timeout_s = timeout_s
        version = self._ask("docker version", lambda: _agree_version(url, timeout_s))
        self._api: APIClient = self._ask("docker version", lambda: open_api(url, version, timeout_s))

    def close(self) -> None:
        """Close idle connections. Streams have to be closed separately."""
        self._api.close()

    def ping(self) -> None:
        """Check that the engine answers. Raises WherryError."""
        self._ask("docker ping", self._api.ping)

    def version(self) -> EngineVersion:
        """Version of the engine."""
        answer = self.call("docker version", "GET", "/version").object()
        return EngineVersion(
            version=clean_text(answer.text("Version")),
            api_version=clean_text(answer.text("ApiVersion")),
            os=clean_text(answer.text("Os")),
            arch=clean_text(answer.text("Arch")),
        )

    def info(self) -> EngineInfo:
        """Information about the engine's host."""
        answer = self.call("docker info", "GET", "/info").object()
        return EngineInfo(
            name=clean_text(answer.text("Name")),
            containers=answer.integer("Containers"),
            containers_running=answer.integer("ContainersRunning"),
            images=answer.integer("Images"),
            storage_driver=clean_text(answer.text("Driver")),
            kernel=clean_text(answer.text("KernelVersion")),
            operating_system=clean_text(answer.text("OperatingSystem")),
            cpus=answer.integer("NCPU"),
            memory_bytes=answer.integer("MemTotal"),
        )

    def list_containers(self, *, include_stopped: bool = True) -> tuple[Container, ...]:
        """All containers, newest first, without our own debug shells."""
        command = "docker ps --all" if include_stopped else "docker ps"
        answer = self.call(command, "GET", "/containers/json", params={"all": int(include_stopped)})
        return tuple(container_from_answer(entry) for entry in answer.objects() if not is_debug_helper(entry))

    def start(self, container_id: str) -> None:
        """Start a container; does nothing when it runs already."""
        self._act("start", "POST", container_id, "/start")

    def stop(self, container_id: str) -> None:
        """Stop a container; the engine kills it after the container's own stop timeout. Returns when it has stopped."""
        self._act("stop", "POST", container_id, "/stop", grace_s=self.stop_timeout_s(container_id))

    def restart(self, container_id: str) -> None:
        """Stop a container like `stop`, then start it."""
        self._act("restart", "POST", container_id, "/restart", grace_s=self.stop_timeout_s(container_id))

    def stop_timeout_s(self, container_id: str) -> int:
        """Seconds that a container may take to stop: its stop timeout (Compose's stop_grace_period), or the default."""
        command = f"docker inspect {container_id[:12]}"
        check_id(container_id, command)
        config = self.call(command, "GET", f"/containers/{container_id}/json").object().object("Config")
        if config.member("StopTimeout").is_null:
            return DEFAULT_GRACE_S
        seconds = config.integer("StopTimeout")
        return ENDLESS_GRACE_S if seconds < 0 else seconds

    def pause(self, container_id: str) -> None:
        """Suspend all processes of a container."""
        self._act("pause", "POST", container_id, "/pause")

    def unpause(self, container_id: str) -> None:
        """Resume all processes of a container."""
        self._act("unpause", "POST", container_id, "/unpause")

    def kill(self, container_id: str) -> None:
        """Kill all processes of a container."""
        self._act("kill", "POST", container_id, "/kill")

    def remove(
        self,
        container_id: str,
        policy: RemovePolicy = RemovePolicy.STOPPED_ONLY,
        volumes: VolumePolicy = VolumePolicy.KEEP,
    ) -> None:
        """Delete a container and its own files. Named volumes are always kept."""
        force = policy is RemovePolicy.KILL_FIRST
        anonymous = volumes is VolumePolicy.REMOVE_ANONYMOUS
        verb = "rm" + (" --force" if force else "") + (" --volumes" if anonymous else "")
        self._act(verb, "DELETE", container_id, params={"v": int(anonymous), "force": int(force), "link": 0})

    def rename(self, container_id: str, name: str) -> None:
        """Rename a container; the engine refuses a name that is in use or invalid."""
        self._act("rename", "POST", container_id, "/rename", params={"name": name})

    def inspect(self, container_id: str) -> ContainerDetails:
        """All details of a container."""
        command = f"docker inspect {container_id[:12]}"
        check_id(container_id, command)
        return details_from_answer(self.call(command, "GET", f"/containers/{container_id}/json").object())

    def act(self, action: ContainerAction, container_id: str) -> None:
        """Run an action with its method's defaults; REMOVE kills a running container first."""
        match action:
            case ContainerAction.START:
                self.start(container_id)
            case ContainerAction.STOP:
                self.stop(container_id)
            case ContainerAction.RESTART:
                self.restart(container_id)
            case ContainerAction.PAUSE:
                self.pause(container_id)
            case ContainerAction.UNPAUSE:
                self.unpause(container_id)
            case ContainerAction.KILL:
                self.kill(container_id)
            case ContainerAction.REMOVE:
                self.remove(container_id, RemovePolicy.KILL_FIRST)
            case ContainerAction.REMOVE_WITH_VOLUMES:
                self.remove(container_id, RemovePolicy.KILL_FIRST, VolumePolicy.REMOVE_ANONYMOUS)

    def events(self) -> EngineStream[EngineEvent]:
        """Stream all events from now on."""
        return self.stream("docker events", "GET", "/events", events)

    def pull(self, reference: str) -> EngineStream[PullProgress]:
        """Pull an image with the credentials of `docker login`. The stream ends when the image is complete.

        Closing the stream cancels the pull; the engine keeps complete layers for the next time.

        Raises:
            WherryError: as other calls; while reading, ENGINE_ERROR when the registry refuses or cannot be reached.
        """
        command = f"docker pull {clean_text(reference)}"
        complete = with_tag(reference)

        def login() -> Mapping[str, str]:
            registry, _ = auth.resolve_repository_name(complete.partition("@")[0])
            header = auth.get_config_header(self._api, registry)
            return (
                {} if header is None else {"X-Registry-Auth": header.decode() if isinstance(header, bytes) else header}
            )

        return self.stream(
            command,
            "POST",
            "/images/create",
            partial(pull_progress, command=command),
            params={"fromImage": complete},
            headers=self._ask(command, login),
            timeout_s=PULL_TIMEOUT_S,
        )

    def logs(
        self, container_id: str, *, tail: int = 1000, follow: bool = True, since: str | None = None
    ) -> EngineStream[LogBlock]:
        """A container's log, oldest first; with `follow` the stream lasts until the container ends. Lines are timed."""
        command = f"docker logs {container_id[:12]}"
        check_id(container_id, command)
        params = log_query(tail, since, follow=follow)
        response = self._open(command, "GET", f"/containers/{container_id}/logs", params)
        framed = FRAMED_BY_TYPE.get(response.headers.get("Content-Type", ""))
        if framed is None:
            try:
                details = self.call(command, "GET", f"/containers/{container_id}/json").object()
                framed = not details.object("Config").flag("Tty")
            except WherryError:
                response.close()
                raise
        wire = wire_blocks(response.raw)
        return EngineStream(response, log_items(chunked=wire is not None, framed=framed), command, wire)

    def call(
        self,
        command: str,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | int | bytes] | None = None,
        body: object = None,
        timeout_s: float | None = None,
    ) -> Json:
        """Send a request to the engine's API. Returns the JSON answer; null when it is empty.

        Args:
            command: the equivalent docker command, for error messages.
            method: as in "GET".
            path: below the API's version, with ids checked by `check_id`: "/containers/3f…/json".
            params: the query.
            body: sent as JSON; None sends nothing.
            timeout_s: replaces the client's own, for each step of the request.

        Raises:
            WherryError: ENGINE_DOWN or ENGINE_ERROR.
        """

        def ask() -> Json:
            seconds = timeout_s or self._timeout_s
            with contextlib.closing(self._send(method, path, params=params, body=body, timeout_s=seconds)) as response:
                return read_answer(response.content if response.content.strip() else b"null", command)

        return self._ask(command, ask)

    def stream(
        self,
        command: str,
        method: str,
        path: str,
        items: Callable[[Iterator[bytes]], Iterator[_Result]],
        *,
        params: Mapping[str, str | int | bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
    ) -> EngineStream[_Result]:
        """Open an endless answer; `items` converts its blocks, which may be split anywhere.

        Raises:
            WherryError: as `call`; for errors while reading see `EngineStream`.
        """
        return EngineStream(self._open(command, method, path, params, headers, timeout_s=timeout_s), items, command)

    def _open(
        self,
        command: str,
        method: str,
        path: str,
        params: _Params | None,
        headers: Mapping[str, str] | None = None,
        *,
        timeout_s: float | None = None,
    ) -> requests.Response:
        """Open an endless answer; returns after its head has arrived."""

        def open_it() -> requests.Response:
            response = self._send(method, path, params=params, headers=headers, timeout_s=timeout_s or self._timeout_s)
            _wait_for_ever(response)
            return response

        return self._ask(command, open_it)

    def head(self, command: str, path: str, *, params: Mapping[str, str | int | bytes]) -> Mapping[str, str]:
        """Send a HEAD request and return the headers (case-insensitive). Raises as `call`."""

        def ask() -> Mapping[str, str]:
            try:
                response = self._send("HEAD", path, params=params, timeout_s=self._timeout_s)
            except APIError as error:
                if error.status_code != 404:
                    raise
                # The answer to HEAD has no body with a message.
                raise fail(
                    ProblemCode.ENGINE_ERROR, message("There is no such path in the container."), command=command
                ) from error
            with contextlib.closing(response):
                return response.headers

        return self._ask(command, ask)

    def upload(
        self,
        command: str,
        method: str,
        path: str,
        pieces: Iterator[bytes],
        *,
        params: Mapping[str, str | int | bytes],
        timeout_s: float = UPLOAD_TIMEOUT_S,
    ) -> bytes:
        """Send a tar archive while it is produced; return its answer. Raises as `call`, and errors of `pieces`."""

        def ask() -> bytes:
            headers = {"Content-Type": "application/x-tar"}
            sent = self._send(method, path, params=params, headers=headers, data=pieces, timeout_s=timeout_s)
            with contextlib.closing(sent) as response:
                return bytes(response.content)

        return self._ask(command, ask)

    def hijack(
        self, command: str, path: str, *, params: Mapping[str, str | int | bytes] | None = None, body: object = None
    ) -> Duplex:
        """Open a two-way connection to a program's terminal with a POST. Raises as `call`."""

        def open_it() -> Duplex:
            headers = {"Connection": "Upgrade", "Upgrade": "tcp"}
            response = self._send("POST", path, params=params, headers=headers, body=body, timeout_s=self._timeout_s)
            # The buffered reader, not the socket: the program's first output may have arrived with the head.
            raw: Any = response.raw
            reader = raw._fp.fp  # noqa: SLF001 -- neither library gives the connection away by a public name
            under = reader.raw
            connection = getattr(under, "_sock", None) or under.sock  # the second is for a named pipe
            return Duplex(reader, connection, response.close)

        return self._ask(command, open_it)

    def _send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | int | bytes] | None,
        timeout_s: float,
        body: object = None,
        data: Iterator[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """Send a request. Returns the open response, of which only the head was read."""
        url = f"{self._api.base_url}/v{self._api.api_version}{path}"
        response = self._api.request(
            method, url, params=params, json=body, data=data, headers=headers, stream=True, timeout=timeout_s
        )
        if not response.ok:
            with contextlib.closing(response):
                raise APIError(f"{response.status_code} {response.reason}", response, _message(response))
        return response

    def _act(
        self,
        verb: str,
        method: str,
        container_id: str,
        path: str = "",
        *,
        params: _Params | None = None,
        grace_s: int = 0,
    ) -> None:
        command = f"docker {verb} {container_id[:12]}"
        check_id(container_id, command)
        address = f"/containers/{container_id}{path}"
        self.call(command, method, address, params=params, timeout_s=ACTION_TIMEOUT_S + grace_s)

    def _ask(self, command: str, call: Callable[[], _Result]) -> _Result:
        try:
            return call()
        except WherryError:
            raise
        except APIError as error:
            raise refused(command, error.status_code or 0, str(error.explanation or error)) from error
        except requests.exceptions.InvalidJSONError as error:  # before OSError, its base class
            raise not_understood(command, error) from error
        except (DockerException, requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise down(command, error) from error
        except NOT_UNDERSTOOD as error:
            # docker-py did not expect this answer: another program listens there.
            raise not_understood(command, error) from error


def _wait_for_ever(response: requests.Response) -> None:
    """Remove the timeout of an open stream: silence is normal, and `close` wakes the reader."""
    sock = getattr(response.raw.connection, "sock", None)
    if sock is not None:
        sock.settimeout(None)
        if isinstance(sock, socket.socket):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)


def check_id(container_id: str, command: str) -> None:
    """Raise BAD_REQUEST for an invalid id or name, which would change the request's path."""
    if not _CONTAINER_ID.fullmatch(container_id):
        raise fail(ProblemCode.BAD_REQUEST, message("Enter a valid container ID."), command=clean_text(command))


def _message(response: requests.Response) -> str:
    text = response.content[:10_000].decode(errors="replace")
    try:
        return read_answer(text.encode(), "").object().required_text("message")
    except WherryError:
        return text
