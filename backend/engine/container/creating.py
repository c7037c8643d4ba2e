"""Make a container from a spec, and make one anew so that the old one is never lost.

To be called in a worker thread: each function asks the engine several times.
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

if TYPE_CHECKING:
    from backend.engine.client.engine_client import EngineClient

CREATE_TIMEOUT_S: Final = 120.0
"""The engine may copy what the image has at a volume's place before it answers."""
_WATCH_S: Final = 1.5
"""So long a new container is watched: one that cannot run ends within the first second."""
_WATCH_STEP_S: Final = 0.25


class RecreateStep(StrEnum):
    """What is being done."""

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
    """The engine's."""
    ended_at_once: int | None = None
    """Its exit code, when it ended within the first second."""
    kept_as: str = ""
    """The name under which the old container was kept, because the new one ended at once."""


def local_images(client: EngineClient) -> tuple[str, ...]:
    """The names of all images that the engine has, newest first."""
    answer = client.call("docker images", "GET", "/images/json")
    found = (tag for image in answer.objects() for tag in image.texts("RepoTags"))
    return tuple(dict.fromkeys(clean_text(name) for name in found if "<none>" not in name))


def network_names(client: EngineClient) -> tuple[str, ...]:
    """The names of all networks."""
    answer = client.call("docker network ls", "GET", "/networks")
    return tuple(sorted(clean_text(network.required_text("Name")) for network in answer.objects()))


def has_image(client: EngineClient, reference: str) -> bool:
    """Whether a container can be made of it without a pull."""
    return _image(client, reference) is not None


def spec_of(client: EngineClient, container_id: str) -> ContainerSpec:
    """What the user of a container set."""
    raw = client.inspect(container_id).untrusted_raw
    container = Json(raw, engine_source(f"docker inspect {container_id[:12]}")).object()
    return spec_from_inspect(container, _image(client, container.text("Image")))


def create_container(client: EngineClient, spec: ContainerSpec, *, start: bool = True) -> Created:
    """Make a container and start it. When it does not start, it is removed again: nothing is left.

    Raises:
        WherryError: ENGINE_DOWN or ENGINE_ERROR.
    """
    made = _create(client, spec)
    if not start:
        return made
    try:
        client.start(made.id)
    except WherryError as error:
        raise _undone(error.problem, lambda: client.remove(made.id, RemovePolicy.KILL_FIRST)) from error
    return replace(made, ended_at_once=_ended(client, made.id))


def recreate_container(
    client: EngineClient, container_id: str, spec: ContainerSpec, report: Callable[[RecreateStep], object]
) -> Created:
    """Replace a container by one made from `spec`, started if the old one ran.

    The old container is stopped, renamed, and removed only when the new one was made and has started. When anything
    fails it gets its name back and is started again if it ran. When the new one ends at once, both are kept.

    Raises:
        WherryError: what went wrong; the summary of a failed way back says so.
    """
    old = client.inspect(container_id)
    runs = old.run.state.is_up
    if runs and old.auto_remove:
        raise fail(
            ProblemCode.ENGINE_ERROR,
            "This container was started with --rm: the engine deletes it as soon as it stops.",
            command=f"docker stop {old.id[:12]}",
            hint="It could not be brought back if the new one failed. Copy it as docker run, and run that instead.",
        )
    aside = f"{old.name[:200]}-old-{old.id[:6]}"
    made: Created | None = None
    try:
        if runs:
            report(RecreateStep.STOP)
            client.stop(old.id)
        client.rename(old.id, aside)
        report(RecreateStep.CREATE)
        made = _create(client, replace(spec, name=spec.name or old.name))
        if runs:
            report(RecreateStep.START)
            client.start(made.id)
    except BaseException as error:  # whatever it is, the user's container must not stay renamed and stopped
        report(RecreateStep.RESTORE)

        def undo() -> None:
            _restore(client, old.id, old.name, made, runs=runs)

        if isinstance(error, WherryError):
            raise _undone(error.problem, undo) from error
        undo()
        raise
    ended = _ended(client, made.id) if runs else None
    if ended is not None:
        return replace(made, ended_at_once=ended, kept_as=aside)
    report(RecreateStep.REMOVE)
    # Volumes without a name are in use by the new container now: they stay.
    client.remove(old.id, RemovePolicy.KILL_FIRST)
    return made


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


def _restore(client: EngineClient, old_id: str, name: str, made: Created | None, *, runs: bool) -> None:
    if made is not None:
        client.remove(made.id, RemovePolicy.KILL_FIRST)
    if client.inspect(old_id).name != name:
        client.rename(old_id, name)
    if runs:
        client.start(old_id)


def _undone(problem: Problem, undo: Callable[[], object]) -> WherryError:
    """Go back; the error to raise tells the first problem, and the second too if the way back failed."""
    try:
        undo()
    except WherryError as second:
        tail = (*problem.tail, f"Undoing it failed too: {second.problem.summary}", *second.problem.tail)
        return WherryError(replace(problem, tail=tail, hint="The old container still exists: look for it in the list."))
    return WherryError(problem)


def _ended(client: EngineClient, container_id: str) -> int | None:
    """The exit code of a container that does not stay up, None for one that does, or that ended well."""
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
    return any("no such image" in line.lower() for line in (problem.summary, *problem.tail))
