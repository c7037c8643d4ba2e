"""Lists directories of running and stopped containers, without running a program in them.

The script below runs in the guest with its busybox, over SSH: a container may have no `ls`, or a manipulated one. A
helper container would work, too, but takes a second to start and appears in `docker ps`.

The script sees what `docker cp` sees: the image's layers, the files written on top, and volumes and folders where they
are mounted. It mounts them read-only as an overlay in its own mount namespace, so that they are unmounted when the
script ends for whatever reason. Then it changes its root directory to one with only that tree and busybox, and resolves
symbolic links itself, part by part, since an absolute link means the container's root. So a hostile container cannot
make it read files of the guest, even by changing files meanwhile.

File names are bytes; on the control channel each byte is one character (latin-1).
"""

from __future__ import annotations

import re
import secrets
import shlex
from collections.abc import Awaitable, Callable
from pathlib import PurePosixPath
from typing import Final, Protocol

import msgspec

from backend.control import messages
from backend.control.messages.request import Handler
from backend.engine.ask import ask_json
from backend.engine.types import clean_text
from backend.errors import ProblemCode, fail
from backend.json_reader import JsonObject
from backend.messages import message
from backend.ssh.session import Result
from backend.stream import ByteStream

_TIMEOUT_S: Final = 30.0
_LISTING_BYTES: Final = 800_000
_REPLY_BYTES: Final = 700_000
"""Leaves room for the rest of the reply in the control channel's longest line."""
_PATH_BYTES: Final = 4096
_MAX_MOUNTS: Final = 64
_CONTAINER: Final = re.compile(r"[0-9a-f]{12,64}")
_UPPER: Final = re.compile(r"(/[A-Za-z0-9._/-]+/overlay2)/([0-9a-f]{64})/diff")

MOUNT_FAILED: Final = 71
TOO_MANY_LINKS: Final = 75
NO_DIRECTORY: Final = 76

OUTER: Final = f"""
base=$1 id=$2; shift 2
mount -t tmpfs -o mode=755 tmpfs /mnt && mkdir /mnt/c /mnt/m /mnt/b && cd "$base" || exit {MOUNT_FAILED}
lower=l/$(cat "$id/link")
[ -s "$id/lower" ] && lower=$lower:$(cat "$id/lower")
mount -t overlay -o "ro,index=off,lowerdir=$lower" overlay /mnt/c || exit {MOUNT_FAILED}
cd /
number=0
count=$1; shift
while [ $number -lt $count ]; do
    source=$1; shift
    if [ -d "$source" ]; then
        mkdir /mnt/m/$number && mount -o bind,ro "$source" /mnt/m/$number
    fi
    number=$((number + 1))
done
: >/mnt/b/busybox
mount -o bind /usr/bin/busybox /mnt/b/busybox || exit {MOUNT_FAILED}
exec /usr/bin/busybox chroot /mnt /b/busybox sh -c "$@"
"""

INNER: Final = f"""
todo=$1 field=$2 end=$3 limit=$4; shift 4
here=
# Where a path of the container is in this root: below the mount that is nearest to it.
find_real() {{
    real=/c$1 length=0 number=0
    for destination in "$@"; do
        [ $number -eq 0 ] && {{ number=1; continue; }}
        case $1/ in
        "$destination"/*)
            if [ ${{#destination}} -gt $length ]; then
                length=${{#destination}}
                real=/m/$((number - 1))${{1#"$destination"}}
            fi
            ;;
        esac
        number=$((number + 1))
    done
}}
hops=0
while [ -n "$todo" ]; do
    part=${{todo%%/*}}
    case $todo in
    */*) todo=${{todo#*/}} ;;
    *) todo= ;;
    esac
    case $part in
    '' | .) continue ;;
    ..) here=${{here%/*}}; continue ;;
    esac
    find_real "$here/$part" "$@"
    if [ -L "$real" ]; then
        hops=$((hops + 1))
        [ $hops -le 40 ] || exit {TOO_MANY_LINKS}
        target=$(/b/busybox readlink "$real"; echo x)
        target=${{target%??}}
        case $target in
        /*) here= ;;
        esac
        todo=$target/$todo
    else
        here=$here/$part
    fi
done
find_real "$here" "$@"
[ -d "$real" ] && cd "$real" || exit {NO_DIRECTORY}
printf '%s%s' "$here" "$end"
{{
    /b/busybox stat -c "%f $field%s $field%Y $field%u $field%g $field.$field.$end" .
    /b/busybox find . -mindepth 1 -maxdepth 1 -exec /b/busybox stat \\
        -c "%f $field%s $field%Y $field%u $field%g $field%n$field%N$end" {{}} +
}} 2>/b/complaints | /b/busybox head -c "$limit"
"""


class Execute(Protocol):
    """Runs a command in the guest and returns its result; None if no guest can be reached. Raises WherryError."""

    async def __call__(self, command: str, *, stdin: bytes, timeout_s: float) -> Result | None: ...


class ContainerFiles:
    """Handles the request ListFiles."""

    def __init__(self, dial: Callable[[], Awaitable[ByteStream]], execute: Execute) -> None:
        """
        Args:
            dial: opens a stream to the engine; raises WherryError.
            execute: runs a command in the guest.
        """
        self._dial = dial
        self._execute = execute

    def handlers(self) -> tuple[Handler, ...]:
        """The handlers for the control channel."""
        return (messages.ListFiles.handled_by(self.list_directory),)

    async def list_directory(self, request: messages.ListFiles) -> messages.FileList:
        """List one directory.

        Raises:
            WherryError: BAD_REQUEST; ENGINE_ERROR, the path is no directory, or the storage driver is not supported;
                ENGINE_DOWN or GUEST_FAULT.
        """
        container, path = request.container, request.path
        shown = clean_text(path.encode("latin-1", "replace").decode("utf-8", "replace"))
        command = f"ls -la {shown}  (in {clean_text(container)[:12]})"
        if not _CONTAINER.fullmatch(container) or not _is_path(path):
            raise fail(ProblemCode.BAD_REQUEST, message("Enter a container and an absolute path."), command=command)
        details = await self._inspect(container)
        field, end = secrets.token_hex(4), secrets.token_hex(4)
        script = _command(details, path, field, end)
        result = await self._execute(script, stdin=b"", timeout_s=_TIMEOUT_S)
        if result is None:
            raise fail(ProblemCode.ENGINE_DOWN, message("The machine can't be reached now."), retryable=True)
        _check(result, command)
        return parse(result.untrusted_stdout, field, end, request=request)

    async def _inspect(self, container: str) -> JsonObject:
        """Request the container's details from the engine: directories that a client names are not trusted."""
        details = await ask_json(self._dial, f"/containers/{container}/json")
        if details is None:
            raise fail(
                ProblemCode.ENGINE_ERROR,
                message("The container no longer exists."),
                command=f"docker inspect {container[:12]}",
                hint=message("It was removed in the meantime."),
            )
        return details.object()


def parse(untrusted_output: bytes, field: str, end: str, *, request: messages.ListFiles) -> messages.FileList:
    """Make the reply from the output of the script."""
    resolved, *records = untrusted_output.decode("latin-1").split(end)
    truncated = len(untrusted_output) >= _LISTING_BYTES
    if truncated and records:
        records.pop()  # cut in its middle
    directory: messages.FileRecord | None = None
    entries: list[messages.FileRecord] = []
    size = 0
    for untrusted_record in records:
        parts = untrusted_record.lstrip("\n").split(field)
        if len(parts) != 7:
            continue
        name = parts[5].removeprefix("./")
        # busybox prints a link as 'NAME' -> 'TARGET'; the name is known, so it may contain an arrow, too.
        target = parts[6].removeprefix(f"'{parts[5]}' -> '").removesuffix("'") if parts[6] != parts[5] else ""
        mode, length, modified, user, group = (int(word, 16 if at == 0 else 10) for at, word in enumerate(parts[:5]))
        entry = messages.FileRecord(name, mode, length, modified, user, group, target)
        if directory is None:
            directory = entry
            continue
        size += len(msgspec.json.encode(entry)) + 1
        if size > _REPLY_BYTES:
            truncated = True
            break
        entries.append(entry)
    return messages.FileList(
        container=request.container,
        path=request.path,
        resolved=resolved or "/",
        directory=directory,
        entries=tuple(entries),
        truncated=truncated,
    )


def _is_path(path: str) -> bool:
    try:
        length = len(path.encode("latin-1"))
    except UnicodeEncodeError:
        return False
    return path.startswith("/") and "\0" not in path and length <= _PATH_BYTES


def _command(details: JsonObject, path: str, field: str, end: str) -> str:
    """The shell command for the guest. Raises WherryError: the storage driver is not supported."""
    graph = details.object("GraphDriver")
    match = _UPPER.fullmatch(graph.object("Data").text("UpperDir"))
    if match is None:
        driver = clean_text(graph.text("Name", "unknown"))
        raise fail(
            ProblemCode.ENGINE_ERROR,
            message("Files can't be listed: the engine uses the storage driver {driver}.", driver=driver),
            hint=message("Wherry supports overlay2, the default storage driver."),
        )
    mounts = [
        (_as_bytes(str(PurePosixPath(mount.text("Destination")))), _as_bytes(mount.text("Source")))
        for mount in details.objects("Mounts")[:_MAX_MOUNTS]
        if mount.text("Destination").startswith("/") and mount.text("Source").startswith("/")
    ]
    # The slash at its end keeps a newline at the end of a name from being lost in quoting.
    inner = [INNER, "list", f"{path}/", field, end, str(_LISTING_BYTES), *(destination for destination, _ in mounts)]
    outer = ["list", *match.groups(), str(len(mounts)), *(source for _, source in mounts), *inner]
    words = ["unshare", "-m", "sh", "-c", OUTER, *outer]
    return " ".join(_quoted(word) for word in words)


def _as_bytes(text: str) -> str:
    """The UTF-8 bytes of a text, one character per byte."""
    return text.encode("utf-8", "surrogateescape").decode("latin-1")


def _quoted(word: str) -> str:
    """Quote a word for the shell; with non-ASCII bytes as a call of printf, which loses a newline at the end."""
    if word.isascii():
        return shlex.quote(word)
    octal = "".join(letter if letter.isascii() and letter.isalnum() else f"\\{ord(letter):03o}" for letter in word)
    return f"\"$(printf '{octal}')\""


def _check(result: Result, command: str) -> None:
    """Raise WherryError for an exit code of the script other than 0."""
    said = [clean_text(line, 300) for line in result.untrusted_stderr.decode("utf-8", "replace").splitlines()[-5:]]
    match result.exit_code:
        case 0:
            return
        case code if code == NO_DIRECTORY:
            raise fail(ProblemCode.ENGINE_ERROR, message("There is no such folder in the container."), command=command)
        case code if code == TOO_MANY_LINKS:
            raise fail(ProblemCode.ENGINE_ERROR, message("The links in this path form a loop."), command=command)
        case _:
            raise fail(
                ProblemCode.GUEST_FAULT,
                message("Couldn't list the container's files."),
                command=command,
                tail=said,
                retryable=True,
            )
