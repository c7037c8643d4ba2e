"""Checkpoints of the real machine: acknowledged writes are restored, the file system is clean, space is freed."""

from __future__ import annotations

import json
import threading
import time

import pytest

from tests.vm.support.machine import BUSYBOX, Machine, wait_until

pytestmark = pytest.mark.vm

WRITER = "i=0; while :; do i=$((i+1)); echo $i >>/v/log; sync -d /v/log; echo $i; done"
"""Prints each line once it is written to the disk."""
_STOCK = (("ps", "-aq", "--no-trunc"), ("images", "-q", "--no-trunc"), ("volume", "ls", "-q"))


def stock(machine: Machine) -> list[set[str]]:
    """All containers, images and volumes."""
    return [set(machine.docker(*words).stdout.split()) for words in _STOCK]


def lines_of(machine: Machine, volume: str) -> list[int]:
    text = machine.docker("run", "--rm", "-v", f"{volume}:/v:ro", BUSYBOX, "cat", "/v/log").stdout
    return [int(line) for line in text.split()]


def test_a_restore_brings_back_all_that_was_acknowledged(machine: Machine) -> None:
    acknowledged: list[int] = []
    with machine.docker_stream("run", "--name", "writer", "-v", "written:/v", BUSYBOX, "sh", "-c", WRITER) as process:
        assert process.stdout is not None
        out = process.stdout

        def read() -> None:
            acknowledged.extend(int(line) for line in out)

        reader = threading.Thread(target=read)
        reader.start()
        wait_until("the first writes", lambda: len(acknowledged) > 5, timeout_s=120)
        before = acknowledged[-1]
        made = machine.json("checkpoint", "create", "while it writes")["id"]
        after = acknowledged[-1]
        wait_until("writes after the checkpoint", lambda: acknowledged[-1] > after + 5, timeout_s=60)
        there = stock(machine)
        machine.docker("rm", "-f", "writer")
        process.wait(timeout=60)
        reader.join(timeout=60)
    machine.docker("volume", "rm", "written")
    machine.docker("volume", "create", "later")
    done = machine.json("checkpoint", "restore", "--yes", made)
    try:
        assert machine.status()["phase"] == "running"
        assert stock(machine) == there
        found = lines_of(machine, "written")
        assert found == list(range(1, len(found) + 1)), "no line is torn or missing"
        assert found[-1] >= before, "nothing that was acknowledged before the checkpoint is missing"
        kernel = machine.wherry("shell", "dmesg | grep vdb").stdout
        assert "mounted filesystem" in kernel
        assert "recover" not in kernel, "a frozen file system needs no replay"
    finally:
        machine.docker("rm", "-f", "writer", check=False)
        machine.docker("volume", "rm", "written", "later", check=False)
        machine.wherry("checkpoint", "delete", "--yes", made, done["present"])


def test_a_deleted_checkpoint_frees_its_space(machine: Machine) -> None:
    fill = "head -c 50000000 /dev/urandom >/v/f; sync"
    machine.docker("run", "--rm", "-v", "big:/v", BUSYBOX, "sh", "-c", fill)
    made = machine.json("checkpoint", "create", "big")["id"]
    machine.docker("volume", "rm", "big")
    machine.wherry("shell", "sync; fstrim /data")
    held = next(entry for entry in machine.json("checkpoint", "list")["checkpoints"] if entry["id"] == made)
    assert held["size_gib"] * 1024**3 > 47_000_000, "it holds what was deleted since"
    freed = machine.json("checkpoint", "delete", "--yes", made)["freed_bytes"]
    assert freed > 47_000_000
    assert made not in machine.wherry("checkpoint", "list").stdout


def test_a_freeze_ends_automatically(machine: Machine) -> None:
    """As when the agent is killed between freezing and thawing: the guest continues without it."""
    # Its answer goes to the agent, who did not ask and passes it over.
    machine.wherry("shell", "/usr/lib/wherry/control-freeze freeze 00000000 </dev/null >/dev/null 2>&1")
    begun = time.monotonic()
    machine.docker("ps")
    assert machine.status()["phase"] == "running", "who only reads goes on meanwhile"
    machine.wherry("shell", "echo written >/data/probe; sync; rm /data/probe", timeout_s=90)
    assert time.monotonic() - begun < 60
    assert json.loads(machine.wherry("checkpoint", "create", "--json", "after it").stdout)["id"]
    machine.wherry("shell", "ls /run/wherry/frozen.* 2>/dev/null && exit 1; true")
