"""The agent's look into containers: the script itself, run by busybox on directories as the engine keeps them."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import stat
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from backend.agent.services.files import ContainerFiles, parse
from backend.control import messages
from backend.control.protocol import encode, reply_line
from backend.errors import ProblemCode, WherryError
from backend.ssh.session import Result

ID = "a" * 64
LAYER = "b" * 64


class Engine:
    """A stream that answers one inspect."""

    def __init__(self, details: Mapping[str, Any] | None) -> None:
        head = b"HTTP/1.0 200 OK\r\n\r\n" if details is not None else b"HTTP/1.0 404 Not Found\r\n\r\n"
        self._answer = head + json.dumps(details or {"message": "No such container"}).encode()
        self.asked = b""

    async def read(self, max_bytes: int = 1) -> bytes:
        answer, self._answer = self._answer, b""
        return answer

    async def write(self, data: bytes) -> None:
        self.asked += data

    async def write_eof(self) -> None: ...

    async def aclose(self) -> None: ...


class Machine:
    """The guest's side: a shell of this computer."""

    def __init__(self, details: Mapping[str, Any] | None) -> None:
        self._details = details
        self.engine = Engine(details)

    async def dial(self) -> Engine:
        self.engine = Engine(self._details)
        return self.engine

    async def execute(self, command: str, *, stdin: bytes, timeout_s: float) -> Result | None:
        done = await asyncio.to_thread(
            subprocess.run, ["busybox", "sh", "-c", command], capture_output=True, timeout=timeout_s, check=False
        )
        return Result(
            exit_code=done.returncode,
            untrusted_stdout=done.stdout,
            untrusted_stderr=done.stderr,
        )

    def list(self, path: str, container: str = ID) -> messages.FileList:
        request = messages.ListFiles(container=container, path=path)
        return asyncio.run(ContainerFiles(self.dial, self.execute).list_directory(request))


def _can_mount() -> bool:
    """Whether this computer lets us do as the guest's root: a mount namespace and an overlay in it."""
    if os.geteuid() != 0 or not all(shutil.which(name) for name in ("busybox", "unshare")):
        return False
    if not Path("/usr/bin/busybox").exists():
        return False
    script = "mount -t tmpfs t /mnt && cd /mnt && mkdir a b c && mount -t overlay -o ro,lowerdir=a:b o c"
    return subprocess.run(["unshare", "-m", "sh", "-c", script], capture_output=True, check=False).returncode == 0


needs_mount = pytest.mark.skipif(not _can_mount(), reason="needs root with mount namespaces, overlay and busybox")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A container with a layer, what was written on top, a volume, and everything that is odd."""
    base = tmp_path / "overlay2"
    (base / "l").mkdir(parents=True)
    for name, link in ((ID, "UPPER"), (LAYER, "LOWER")):
        (base / name / "diff").mkdir(parents=True)
        (base / name / "link").write_text(link)
        (base / "l" / link).symlink_to(f"../{name}/diff")
    (base / ID / "lower").write_text("l/LOWER")
    lower, upper = base / LAYER / "diff", base / ID / "diff"
    (lower / "etc").mkdir()
    (lower / "etc" / "passwd").write_text("root")
    (lower / "usr" / "bin").mkdir(parents=True)
    (lower / "usr" / "bin" / "sh").write_text("x" * 10)
    (lower / "bin").symlink_to("usr/bin")
    (upper / "etc").mkdir()
    (upper / "etc" / "new").write_text("new")
    for name, target in (
        ("absolute", "/etc"),
        ("out", "../../../../../../../../root"),
        ("circle", "circle"),
        ("to-volume", "/data/sub/../sub"),
    ):
        (upper / name).symlink_to(target)
    (upper / "data").mkdir()
    odd = os.fsencode(upper / "odd")
    for directory in (b"", b"/\xff\xfe dir", b"/-rf", b"/$(touch x)"):
        Path(os.fsdecode(odd + directory)).mkdir()
    for file in (b"a\nb", b"'quoted'", b"\xff\xfe dir/inside", "zoë".encode()):
        Path(os.fsdecode(odd + b"/" + file)).write_bytes(b"")
    (upper / "odd" / "l' -> 'n").symlink_to("x' -> 'y")
    volume = tmp_path / "volume of ours"
    (volume / "sub").mkdir(parents=True)
    (volume / "sub" / "kept").write_text("1")
    driver = {"Name": "overlay2", "Data": {"UpperDir": str(upper)}}
    return Machine({"GraphDriver": driver, "Mounts": [{"Destination": "/data", "Source": str(volume)}]})


def names(listing: messages.FileList) -> set[str]:
    return {entry.untrusted_name for entry in listing.entries}


@needs_mount
@pytest.mark.parametrize(
    ("path", "resolved", "expected"),
    [
        ("/etc", "/etc", {"passwd", "new"}),
        ("/bin", "/usr/bin", {"sh"}),
        ("/absolute", "/etc", {"passwd", "new"}),
        ("/../../etc/./", "/etc", {"passwd", "new"}),
        ("/data", "/data", {"sub"}),
        ("/to-volume", "/data/sub", {"kept"}),
        ("/odd", "/odd", {"-rf", "$(touch x)", "a\nb", "'quoted'", "l' -> 'n", "\xff\xfe dir", "zo\xc3\xab"}),
        ("/odd/\xff\xfe dir", "/odd/\xff\xfe dir", {"inside"}),
        ("/odd/-rf", "/odd/-rf", set()),
        ("/odd/$(touch x)", "/odd/$(touch x)", set()),
    ],
)
def test_directories(machine: Machine, path: str, resolved: str, expected: set[str]) -> None:
    listing = machine.list(path)
    assert (listing.resolved, names(listing)) == (resolved, expected)
    assert listing.path == path
    assert not listing.truncated


@needs_mount
def test_what_is_told_of_an_entry(machine: Machine) -> None:
    entries = {entry.untrusted_name: entry for entry in machine.list("/usr/bin").entries}
    program = entries["sh"]
    assert stat.S_ISREG(program.mode)
    assert (program.size, program.user_id, program.group_id) == (10, os.getuid(), os.getgid())
    assert program.untrusted_target == ""
    links = {entry.untrusted_name: entry.untrusted_target for entry in machine.list("/odd").entries}
    assert links["l' -> 'n"] == "x' -> 'y"
    directory = machine.list("/").directory
    assert directory is not None
    assert stat.S_ISDIR(directory.mode)


@needs_mount
@pytest.mark.parametrize("path", ["/out", "/nowhere", "/etc/passwd", "/circle", "/b", "/mnt"])
def test_nothing_leads_out_of_the_container(machine: Machine, path: str) -> None:
    with pytest.raises(WherryError) as caught:
        machine.list(path)
    assert caught.value.problem.code is ProblemCode.ENGINE_ERROR


@pytest.mark.parametrize(
    ("container", "path"),
    [("../info", "/"), ("", "/"), (ID, "etc"), (ID, "/a\0b"), (ID, "/\u0100"), (ID, "/" * 5000), (ID + "\r\n", "/")],
)
def test_a_client_cannot_ask_for_something_else(machine: Machine, container: str, path: str) -> None:
    with pytest.raises(WherryError) as caught:
        machine.list(path, container)
    assert caught.value.problem.code is ProblemCode.BAD_REQUEST
    assert machine.engine.asked == b""


def test_a_container_that_is_gone_and_a_driver_that_is_not_known() -> None:
    with pytest.raises(WherryError, match="no longer exists"):
        Machine(None).list("/")
    with pytest.raises(WherryError, match="storage driver btrfs"):
        Machine({"GraphDriver": {"Name": "btrfs", "Data": None}}).list("/")
    with pytest.raises(WherryError, match="storage driver"):
        Machine({"GraphDriver": {"Name": "overlay2", "Data": {"UpperDir": "/x; rm -rf /"}}}).list("/")


def test_a_directory_without_end_is_cut_at_a_whole_entry() -> None:
    records = b"".join(b"81a4 FF%d FF1 FF0 FF0 FF./n%dFF./n%dEE\n" % (n, n, n) for n in range(20_000))
    output = b"/EE41ed FF1 FF1 FF0 FF0 FF.FF.EE\n" + records
    listing = parse(output[:800_000], "FF", "EE", request=messages.ListFiles(container=ID, path="/"))
    assert listing.truncated
    assert listing.entries[-1].untrusted_name == f"n{len(listing.entries) - 1}"
    assert len(encode(reply_line(1, listing))) < 1_000_000
