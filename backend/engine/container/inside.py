"""A container's processes, its changes to the image, and creating an image from it."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

from backend.engine.client.engine_client import check_id
from backend.engine.container.page_types import ChangeKind, ProcessTable, check_image_name, split_image_name
from backend.engine.types import clean_text
from backend.errors import ProblemCode, WherryError, fail
from backend.json_reader import JsonObject, NotUnderstood
from backend.messages import message

if TYPE_CHECKING:
    from backend.engine.client.engine_client import EngineClient

PS_COLUMNS: Final = "-o pid,ppid,user,stat,vsz,rss,args"
"""Options known to both busybox's and procps's ps."""
MAX_CHANGES: Final = 100_000
MAX_PROCESSES: Final = 5_000
_COMMIT_TIMEOUT_S: Final = 900.0
_CHANGES_TIMEOUT_S: Final = 60.0


_KINDS: Final = {0: ChangeKind.MODIFIED, 1: ChangeKind.ADDED, 2: ChangeKind.DELETED}


def processes(client: EngineClient, container_id: str) -> ProcessTable:
    """The processes of a running container. Raises WherryError."""
    command = f"docker top {container_id[:12]} {PS_COLUMNS}"
    check_id(container_id, command)
    answer = client.call(command, "GET", f"/containers/{container_id}/top", params={"ps_args": PS_COLUMNS})
    table = answer.object()
    titles = tuple(clean_text(title) for title in table.texts("Titles"))
    rows = tuple(
        tuple(clean_text(word, 4096) for word in [*row.texts(), *[""] * len(titles)][: len(titles)])
        for row in islice(table.values("Processes"), MAX_PROCESSES)
    )
    return ProcessTable(titles, rows)


def changes(client: EngineClient, container_id: str) -> dict[str, ChangeKind]:
    """Paths written, added or deleted since the image, by absolute path; volumes are not included.

    The paths are untrusted. At most `MAX_CHANGES`. Raises WherryError.
    """
    command = f"docker diff {container_id[:12]}"
    check_id(container_id, command)
    answer = client.call(command, "GET", f"/containers/{container_id}/changes", timeout_s=_CHANGES_TIMEOUT_S)
    kinds = () if answer.is_null else answer.objects()[:MAX_CHANGES]
    return {entry.required_text("Path"): _change_kind(entry) for entry in kinds}


def _change_kind(change: JsonObject) -> ChangeKind:
    number = change.required_integer("Kind")
    if number not in _KINDS:
        raise NotUnderstood(change.source, f"Kind: expected one of 0, 1 and 2, found {number}.")
    return _KINDS[number]


def commit(client: EngineClient, container_id: str, name: str, *, comment: str = "", pause: bool = True) -> str:
    """Create an image from a container's current state, without its volumes. Returns the image's id.

    Args:
        client: the engine.
        container_id: id of the container.
        name: name of the new image; "" for none.
        message: stored in the image.
        pause: pause the container meanwhile, so that files are consistent.

    Raises:
        WherryError: BAD_REQUEST for an invalid name; as `EngineClient.call`.
    """
    repository, tag = split_image_name(name)
    command = clean_text(f"docker commit {container_id[:12]} {repository}:{tag}")
    check_id(container_id, command)
    if check_image_name(name) is not None:
        raise fail(ProblemCode.BAD_REQUEST, message("Enter a valid image name."), command=command)
    params: dict[str, str | int | bytes] = {
        "container": container_id,
        "repo": repository,
        "tag": tag,
        "comment": comment,
        "pause": int(pause),
    }
    answer = client.call(command, "POST", "/commit", params=params, body={}, timeout_s=_COMMIT_TIMEOUT_S)
    return clean_text(answer.object().required_text("Id"))


def forget_image(client: EngineClient, name: str) -> None:
    """Delete the image of a commit that was cancelled too late. Raises WherryError."""
    repository, tag = split_image_name(name)
    try:
        client.call(f"docker rmi {repository}:{tag}", "DELETE", f"/images/{repository}:{tag}")
    except WherryError as error:
        if error.problem.code is not ProblemCode.ENGINE_ERROR:
            raise
