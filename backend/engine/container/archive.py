"""File transfer between a container and this computer, as tar archives streamed through the engine.

Archives from a container are untrusted: a member may have any name, link target and size. Nothing is ever written
outside the chosen directory, through a link, or under a name with a special meaning for the system. Symbolic links are
created last, and only if they stay inside; device files and the like are skipped.

A path in a container is text in which `surrogateescape` stands for bytes that are not UTF-8.
"""

from __future__ import annotations

import base64
import contextlib
import errno
import io
import os
import re
import shutil
import stat
import tarfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Final, cast

from backend.engine.client.engine_client import check_id
from backend.engine.container.page_types import RemoteFile, RemoteStat
from backend.engine.container.transfer import Transfer
from backend.engine.engine_json import engine_source, read_answer
from backend.engine.types import clean_text
from backend.errors import ProblemCode, WherryError, fail
from backend.json_reader import NotUnderstood
from backend.messages import message

if TYPE_CHECKING:
    from backend.engine.client.engine_client import EngineClient
    from backend.engine.client.stream import EngineStream

_BLOCK: Final = 262_144
_MAX_PART_BYTES: Final = 200
_BAD_LETTERS: Final = re.compile(r'[<>:"|?*/\\\x00-\x1f\x7f]')
_RESERVED: Final = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?")
_STAT_HEADER: Final = "x-docker-container-path-stat"
_GO_SYMLINK: Final = 1 << 27
_GO_DIRECTORY: Final = 1 << 31


def stat_path(client: EngineClient, container_id: str, path: str) -> RemoteStat:
    """Stat a path of a container, running or not. Raises WherryError, also when it does not exist."""
    command = _command("stat", container_id, path)
    fields = client.head(command, f"/containers/{container_id}/archive", params=_query(path))
    try:
        text = base64.b64decode(fields.get(_STAT_HEADER, ""), validate=True)
    except ValueError as error:
        raise NotUnderstood(engine_source(command), f"{_STAT_HEADER}: {error}") from error
    status = read_answer(text, command).object()
    mode = status.required_integer("mode")
    return RemoteStat(
        name=status.required_text("name"),
        size=status.required_integer("size"),
        is_directory=bool(mode & _GO_DIRECTORY),
        is_link=bool(mode & _GO_SYMLINK),
        link_target=status.text("linkTarget"),
        changed_at=status.text("mtime"),
    )


def read_file(client: EngineClient, container_id: str, path: str, limit: int) -> RemoteFile:
    """Read at most `limit` bytes of a file, following a link.

    Raises:
        WherryError: ENGINE_ERROR when it is not a file; ENGINE_DOWN.
    """
    status = stat_path(client, container_id, path)
    if status.is_link and status.link_target.startswith("/"):
        path = status.link_target
        status = stat_path(client, container_id, path)
    command = _command("cat", container_id, path)
    with _open(client, command, container_id, path) as stream, _members(stream, command) as archive:
        member = archive.next()
        content = archive.extractfile(member) if member is not None and member.isfile() else None
        if member is None or content is None:
            raise fail(ProblemCode.ENGINE_ERROR, message("This isn't a file that can be shown."), command=command)
        data = content.read(limit)
        return RemoteFile(
            path=path,
            untrusted_data=data,
            size=member.size,
            mode=member.mode & 0o7777,
            user_id=member.uid,
            group_id=member.gid,
            changed_at=status.changed_at,
        )


def write_file(
    client: EngineClient, container_id: str, file: RemoteFile, data: bytes, *, overwrite: bool
) -> RemoteFile:
    """Write a file back with its owner and mode. Returns its new state.

    Args:
        client: the engine.
        container_id: id of the container.
        file: the file as it was read.
        data: the new content.
        overwrite: write even when the file has changed since it was read.

    Raises:
        WherryError: WRONG_PHASE when it has changed since it was read, and `overwrite` is not set.
    """
    command = _command("write", container_id, file.path)
    if not overwrite and stat_path(client, container_id, file.path).changed_at != file.changed_at:
        raise fail(
            ProblemCode.WRONG_PHASE,
            message("The file has changed in the container since you opened it."),
            command=command,
            hint=message("Save again to overwrite it, or reload it."),
        )
    entry = tarfile.TarInfo(PurePosixPath(file.path).name)
    entry.size, entry.mode, entry.uid, entry.gid = len(data), file.mode, file.user_id, file.group_id
    entry.mtime = _now()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(entry, io.BytesIO(data))
    params = {**_query(str(PurePosixPath(file.path).parent)), "noOverwriteDirNonDir": 1}
    client.upload(command, "PUT", f"/containers/{container_id}/archive", iter((buffer.getvalue(),)), params=params)
    status = stat_path(client, container_id, file.path)
    return RemoteFile(
        path=file.path, untrusted_data=data, size=status.size, mode=file.mode, user_id=file.user_id,
        group_id=file.group_id, changed_at=status.changed_at,
    )  # fmt: skip


def download(client: EngineClient, container_id: str, path: str, directory: Path, transfer: Transfer) -> Path:
    """Copy a file or a directory from a container to `directory`. Returns its path.

    It is written under a hidden name and renamed at the end to an unused name; no file is ever overwritten.

    Raises:
        WherryError: Cancelled; HOST_DISK_FULL, PATH_UNUSABLE; as `EngineClient.call`.
    """
    command = _command("cp", container_id, path)
    check_id(container_id, command)
    name = safe_part(PurePosixPath(path).name) or "root"
    partial = directory / f".{name[:80]}.wherry-part-{os.getpid()}-{id(transfer):x}"
    status = stat_path(client, container_id, path)
    transfer.total_bytes = None if status.is_directory or status.is_link else status.size
    try:
        with _open(client, command, container_id, path) as stream:
            transfer.on_cancel(stream.close)
            with _members(stream, command) as archive:
                _unpack(archive, partial, transfer)
        transfer.check()
        final = free_name(directory, name)
        partial.rename(final)
        return final
    except OSError as error:
        transfer.check()
        raise _host_problem(error, directory) from error
    finally:
        _discard(partial)


def upload(
    client: EngineClient,
    container_id: str,
    directory: str,
    sources: Iterable[Path],
    transfer: Transfer,
    *,
    owner: tuple[int, int] = (0, 0),
) -> None:
    """Copy files and directories into a directory of a container; existing files are overwritten.

    Args:
        client: the engine.
        container_id: id of the container.
        directory: absolute path in the container.
        sources: files and directories of this computer.
        transfer: progress and cancellation.
        owner: user and group id of the copies.

    Raises:
        WherryError: Cancelled (files sent so far remain); PATH_UNUSABLE; as `EngineClient.call`.
    """
    command = _command("cp", container_id, directory)
    check_id(container_id, command)
    status = stat_path(client, container_id, directory)
    if not status.is_directory and not status.is_link:
        raise fail(ProblemCode.ENGINE_ERROR, message("This isn't a folder."), command=command)
    sources = tuple(sources)
    transfer.total_bytes = sum(_size_of(source) for source in sources)
    params = {**_query(directory), "noOverwriteDirNonDir": 1}
    pieces = _pack(sources, owner, transfer)
    client.upload(command, "PUT", f"/containers/{container_id}/archive", pieces, params=params)


def export(client: EngineClient, container_id: str, target: Path, transfer: Transfer) -> None:
    """Write the container's file system to a tar file. Raises as `download`."""
    command = f"docker export {container_id[:12]}"
    check_id(container_id, command)
    sizes = client.call(command, "GET", f"/containers/{container_id}/json", params={"size": 1}, timeout_s=120)
    root = sizes.object().integer("SizeRootFs")
    transfer.total_bytes = root if root > 0 else None
    partial = target.with_name(f".{target.name[:80]}.wherry-part-{os.getpid()}")
    stream = client.stream(command, "GET", f"/containers/{container_id}/export", _blocks)
    transfer.on_cancel(stream.close)
    try:
        with stream, partial.open("wb") as file:
            for block in stream:
                file.write(block)
                transfer.add(len(block))
        stream.release()
        transfer.check()
        partial.replace(target)
    except OSError as error:
        raise _host_problem(error, target.parent) from error
    finally:
        partial.unlink(missing_ok=True)


def safe_part(untrusted_name: str) -> str:
    """A safe file name for this computer; empty for a name that means a directory ("." and "..")."""
    text = untrusted_name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    text = _BAD_LETTERS.sub("_", clean_text(text, 4096)).rstrip(". ")
    if _RESERVED.fullmatch(text):
        text = f"_{text}"
    while len(text.encode()) > _MAX_PART_BYTES:
        text = text[:-1]
    return "" if text in ("", ".", "..") else text


def free_name(directory: Path, name: str) -> Path:
    """`name`, or "name (2)" and so on: the first that does not exist."""
    stem, dot, suffix = name.partition(".") if not name.startswith(".") else (name, "", "")
    number = 1
    while os.path.lexists(candidate := directory / (name if number == 1 else f"{stem} ({number}){dot}{suffix}")):
        number += 1
    return candidate


def _unpack(archive: tarfile.TarFile, target: Path, transfer: Transfer) -> None:
    """Extract all members to `target`, which replaces the first member's name."""
    links: list[tuple[Path, str]] = []
    written: dict[str, Path] = {}
    modes: list[tuple[Path, int]] = []
    top: str | None = None
    for member in archive:
        parts = [part for part in member.name.split("/") if part not in ("", ".")]
        top = top if top is not None else (parts[0] if parts else "")
        inside = parts[1:] if parts and parts[0] == top else parts
        safe = [safe_part(part) for part in inside]
        shown = clean_text(member.name)
        transfer.item = shown
        transfer.check()
        if "" in safe or ".." in parts:
            transfer.skip(shown)
            continue
        path = target.joinpath(*safe)
        if member.isdir():
            path.mkdir(parents=True, exist_ok=True)
            modes.append((path, member.mode))
        elif member.isfile():
            path.parent.mkdir(parents=True, exist_ok=True)
            _write_member(archive, member, path, transfer)
            written[member.name] = path
        elif member.islnk() and (first := written.get(member.linkname)) is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(first, path, follow_symlinks=False)
            transfer.add(first.stat().st_size)
        elif member.issym():
            links.append((path, member.linkname))
        else:
            transfer.skip(shown)
    for path, link in links:
        _make_link(target, path, link, transfer)
    for path, mode in reversed(modes):
        with contextlib.suppress(OSError):  # a file system without modes
            path.chmod((mode & 0o777) | 0o700)


def _write_member(archive: tarfile.TarFile, member: tarfile.TarInfo, path: Path, transfer: Transfer) -> None:
    content = archive.extractfile(member)
    assert content is not None
    # "x": names that become equal by `safe_part`, or differ only in case, must not overwrite each other.
    while os.path.lexists(path):
        path = free_name(path.parent, path.name)
    with path.open("xb") as file:
        while block := content.read(_BLOCK):
            file.write(block)
            transfer.add(len(block))
    with contextlib.suppress(OSError):
        path.chmod((member.mode & 0o777) | stat.S_IRUSR | stat.S_IWUSR)
        os.utime(path, (member.mtime, member.mtime))


def _make_link(target: Path, path: Path, untrusted_link: str, transfer: Transfer) -> None:
    """Create a symbolic link if its target stays inside; else skip it."""
    inside = os.path.normpath(path.parent.relative_to(target.parent) / untrusted_link)
    escapes = untrusted_link.startswith(("/", "\\")) or ":" in untrusted_link or "\0" in untrusted_link
    # A parent that is itself a link would change what "inside" means.
    place = Path(os.path.realpath(target.parent)) / path.parent.relative_to(target.parent)
    moved = Path(os.path.realpath(path.parent)) != place
    if escapes or moved or PurePosixPath(inside).parts[:1] != (target.name,) or path == target:
        transfer.skip(clean_text(f"{path.name} -> {untrusted_link}"))
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(untrusted_link)
    except OSError:  # the name exists, or users may not create links
        transfer.skip(clean_text(f"{path.name} -> {untrusted_link}"))


def _pack(sources: tuple[Path, ...], owner: tuple[int, int], transfer: Transfer) -> Iterator[bytes]:
    """Yield the blocks of a tar archive of these files while reading them."""
    for source in sources:
        for path in _walk(source):
            transfer.check()
            name = path.relative_to(source.parent).as_posix()
            transfer.item = clean_text(name)
            try:
                yield from _pack_one(path, name, owner, transfer)
            except OSError as error:
                raise _host_problem(error, path) from error
    yield bytes(1024)


def _pack_one(path: Path, name: str, owner: tuple[int, int], transfer: Transfer) -> Iterator[bytes]:
    status = path.lstat()
    entry = tarfile.TarInfo(name)
    entry.mode, entry.mtime = stat.S_IMODE(status.st_mode), int(status.st_mtime)
    entry.uid, entry.gid = owner
    if stat.S_ISLNK(status.st_mode):
        entry.type, entry.linkname = tarfile.SYMTYPE, str(path.readlink())
    elif stat.S_ISDIR(status.st_mode):
        entry.type = tarfile.DIRTYPE
    elif not stat.S_ISREG(status.st_mode):
        transfer.skip(clean_text(name))
        return
    if not entry.isfile():
        yield entry.tobuf(tarfile.PAX_FORMAT)
        return
    with path.open("rb") as file:
        entry.size = remaining = os.fstat(file.fileno()).st_size
        yield entry.tobuf(tarfile.PAX_FORMAT)
        while remaining:
            block = file.read(min(_BLOCK, remaining))
            # A file that shrinks meanwhile is padded: the archive has announced its size.
            block = block or bytes(min(_BLOCK, remaining))
            remaining -= len(block)
            transfer.add(len(block))
            yield block
        yield bytes(-entry.size % 512)


def _walk(source: Path) -> Iterator[Path]:
    yield source
    if source.is_dir() and not source.is_symlink():
        for child in sorted(source.iterdir()):
            yield from _walk(child)


def _size_of(source: Path) -> int:
    with contextlib.suppress(OSError):
        return sum(path.lstat().st_size for path in _walk(source) if path.is_file() and not path.is_symlink())
    return 0


@contextlib.contextmanager
def _open(client: EngineClient, command: str, container_id: str, path: str) -> Iterator[EngineStream[bytes]]:
    address = f"/containers/{container_id}/archive"
    # Else the engine compresses it, which wastes the machine's time for a local connection.
    plain = {"Accept-Encoding": "identity"}
    stream = client.stream(command, "GET", address, _blocks, params=_query(path), headers=plain)
    try:
        yield stream
    finally:
        stream.release()


@contextlib.contextmanager
def _members(stream: EngineStream[bytes], command: str) -> Iterator[tarfile.TarFile]:
    try:
        with tarfile.open(fileobj=cast(IO[bytes], _Reader(stream)), mode="r|", errorlevel=1) as archive:
            yield archive
    except (tarfile.TarError, EOFError) as error:
        raise fail(
            ProblemCode.ENGINE_ERROR,
            message("The container's files didn't arrive completely."),
            command=command,
            tail=(clean_text(str(error), 300),),
            retryable=True,
        ) from error


class _Reader:
    """An answer as a file object for tarfile."""

    def __init__(self, stream: EngineStream[bytes]) -> None:
        self._stream = stream
        self._rest = b""

    def read(self, size: int) -> bytes:
        parts = [self._rest]
        held = len(self._rest)
        while held < size and (block := next(self._stream, None)) is not None:
            parts.append(block)
            held += len(block)
        data = b"".join(parts)
        self._rest = data[size:]
        return data[:size]


def _query(path: str) -> dict[str, str | int | bytes]:
    # As bytes, which are quoted unchanged: a name need not be UTF-8.
    return {"path": path.encode("utf-8", "surrogateescape")}


def _blocks(blocks: Iterator[bytes]) -> Iterator[bytes]:
    return blocks


def _command(verb: str, container_id: str, path: str) -> str:
    command = clean_text(f"docker {verb} {container_id[:12]}:{path}")
    check_id(container_id, command)
    return command


def _discard(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _now() -> int:
    return int(time.time())


def _host_problem(error: OSError, path: Path) -> WherryError:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return fail(
        ProblemCode.HOST_DISK_FULL if full else ProblemCode.PATH_UNUSABLE,
        message("{path}: {error}", path=clean_text(str(error.filename or path), 500), error=error.strerror or error),
        hint=(message("Free up some space, or choose another place.") if full else message("Choose another place.")),
    )
