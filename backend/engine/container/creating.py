"""Creating a container from a spec, and recreating one without ever losing the old one.

Call these functions in a worker thread: each sends several requests.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from backend.engine.engine_json import engine_source
from backend.engine.spec.container_spec import ContainerSpec
from backend.engine.spec.inspection import spec_from_inspect
from backend.engine.spec.request import create_body
from backend.engine.types import RemovePolicy, clean_text
from backend.errors import Problem, ProblemCode, WherryError, fail
from backend.json_reader import Json, JsonObject
from backend.messages import message

if TYPE_CHECKING:
    from backend.engine.client.engine_client import EngineClient

CREATE_TIMEOUT_S: Final = 120.0
"""The engine may copy an image's files into a volume before it answers."""
_WATCH_S: Final = 1.5
"""Time for which a new container is observed: one that cannot run exits within the first second."""
_WATCH_STEP_S: Final = 0.25


class RecreateStep(StrEnum):
    """Steps of recreating a container."""

    STOP = "stop"
    CREATE = "create"
    START = "start"
    REMOVE = "remove"
    RESTORE = "restore"


@dataclass(frozen=True, slots=True, kw_only=True)
class Created:
    """A new container."""

    id: str
    warnings: tuple[str, ...] = ()
    """Warnings of the engine."""
    ended_at_once: int | None = None
    """Exit code, when it exited within the first second; else None."""
    kept_as: str = ""
    """New name of the old container, kept because the new one exited at once."""


def local_images(client: EngineClient) -> tuple[str, ...]:
    """Names of all local images, newest first."""
    answer = client.call("docker images", "GET", "/images/json")
    names = (tag for image in answer.objects() for tag in image.texts("RepoTags"))
    return tuple(dict.fromkeys(clean_text(name) for name in names if "<none>" not in name))


def network_names(client: EngineClient) -> tuple[str, ...]:
    """Names of all networks."""
    answer = client.call("docker network ls", "GET", "/networks")
    return tuple(sorted(clean_text(network.required_text("Name")) for network in answer.objects()))


def has_image(client: EngineClient, reference: str) -> bool:
    """Whether the image is available without a pull."""
    return _image(client, reference) is not None


def spec_of(client: EngineClient, container_id: str) -> ContainerSpec:
    """The spec of a container: what its user has set."""
    raw = client.inspect(container_id).untrusted_raw
    container = Json(raw, engine_source(f"docker inspect {container_id[:12]}")).object()
    return spec_from_inspect(container, _image(client, container.text("Image")))


def create_container(client: EngineClient, spec: ContainerSpec, *, start: bool = True) -> Created:
    """Create and start a container. If it does not start, it is removed.

    Raises:
        WherryError: ENGINE_DOWN or ENGINE_ERROR.
    """
    created = _create(client, spec)
    if not start:
        return created
    try:
        client.start(created.id)
    except BaseException as error:
        if isinstance(error, WherryError):
            raise _undone(error.problem, lambda: client.remove(created.id, RemovePolicy.KILL_FIRST)) from error
        client.remove(created.id, RemovePolicy.KILL_FIRST)
        raise
    return replace(created, ended_at_once=_ended(client, created.id))


def recreate_container(
    client: EngineClient, container_id: str, spec: ContainerSpec, report: Callable[[RecreateStep], object]
) -> Created:
    """Replace a container by one created from `spec`, which is started if the old one ran.

    The old container is stopped and renamed, and removed only after the new one has started. On failure it gets its
    name back and is started again if it ran. When the new one exits at once, both are kept.

    Raises:
        WherryError: the failure; its summary also reports a failed restoration.
    """
    old = client.inspect(container_id)
    runs = old.run.state.is_up
    if runs and old.auto_remove:
        raise fail(
            ProblemCode.ENGINE_ERROR,
            message("This container was started with --rm: the engine deletes it as soon as it stops."),
            command=f"docker stop {old.id[:12]}",
            hint=message("It couldn't be restored if the new one failed. Copy it as docker run and run that instead."),
        )
    aside = f"{old.name[:200]}-old-{old.id[:6]}"
    created: Created | None = None
    try:
        if runs:
            report(RecreateStep.STOP)
            client.stop(old.id)
        client.rename(old.id, aside)
        report(RecreateStep.CREATE)
        created = _create(client, replace(spec, name=spec.name or old.name))
        if runs:
            report(RecreateStep.START)
            client.start(created.id)
    except BaseException as error:  # after any exception: the user's container must not stay renamed and stopped
        report(RecreateStep.RESTORE)

        def undo() -> None:
            _restore(client, old.id, old.name, created, runs=runs)

        if isinstance(error, WherryError):
            raise _undone(error.problem, undo) from error
        undo()
        raise
    ended = _ended(client, created.id) if runs else None
    if ended is not None:
        return replace(created, ended_at_once=ended, kept_as=aside)
    report(RecreateStep.REMOVE)
    # Anonymous volumes are used by the new container now: keep them.
    client.remove(old.id, RemovePolicy.KILL_FIRST)
    return created


def _create(client: EngineClient, spec: ContainerSpec) -> Created:
    command = f"docker create {clean_text(spec.name and f'--name {spec.name} ')}{clean_text(spec.image)}"
    command = command.replace("  ", " ")
    answer = client.call(
        command,
        "POST",
        "/containers/create",
        params={"name": spec.name} if spec.name else None,
        body=create_body(spec),
        timeout_s=CREATE_TIMEOUT_S,
    ).object()
    warnings = tuple(clean_text(line, 500) for line in answer.texts("Warnings"))
    return Created(id=clean_text(answer.required_text("Id")), warnings=warnings)


def _restore(client: EngineClient, old_id: str, name: str, created: Created | None, *, runs: bool) -> None:
    if created is not None:
        client.remove(created.id, RemovePolicy.KILL_FIRST)
    if client.inspect(old_id).name != name:
        client.rename(old_id, name)
    if runs:
        client.start(old_id)


def _undone(problem: Problem, undo: Callable[[], object]) -> WherryError:
    """Undo the changes. Returns the error to raise: the first problem, and the second if undoing failed."""
    try:
        undo()
    except WherryError as second:
        tail = (*problem.tail, str(second.problem.summary), *second.problem.tail)
        return WherryError(
            replace(
                problem,
                tail=tail,
                hint=message("Undoing failed too. The old container still exists: look for it in the list."),
            )
        )
    return WherryError(problem)


def _ended(client: EngineClient, container_id: str) -> int | None:
    """Exit code of a container that exited with an error; None when it still runs or exited with 0."""
    deadline = time.monotonic() + _WATCH_S
    while time.monotonic() < deadline:
        time.sleep(_WATCH_STEP_S)
        run = client.inspect(container_id).run
        if run.restart_count or not run.state.is_up:
            return run.exit_code or (1 if run.restart_count else None)
    return None


def _image(client: EngineClient, reference: str) -> JsonObject | None:
    try:
        command = f"docker image inspect {clean_text(reference)}"
        return client.call(command, "GET", f"/images/{reference}/json").object()
    except WherryError as error:
        if error.problem.code is ProblemCode.ENGINE_ERROR and _is_missing(error.problem):
            return None
        raise


def _is_missing(problem: Problem) -> bool:
    return any("no such image" in line.lower() for line in (str(problem.summary), *problem.tail))
