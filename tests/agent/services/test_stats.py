"""Statistics through the whole agent: one program in the guest serves all subscribers, and ends with the last."""

from __future__ import annotations

import json
import os
import socket
from itertools import islice

from backend.agent.services.stats_feed import TOO_OLD
from backend.control import messages
from backend.control.client import MachineClient
from backend.control.protocol import PROTOCOL, Hello, StatsPush, encode, request_line
from backend.model import Phase
from tests.agent.machine import PATIENCE_S, Machine, eventually, kill, until

FAKE_ID = "c" * 64


def some(client: MachineClient, count: int) -> list[StatsPush]:
    pushes = list(islice(client.stats(timeout_s=PATIENCE_S), count))
    assert len(pushes) == count
    return pushes


def begun_and_ended(machine: Machine) -> tuple[int, int]:
    told = machine.lines_to_guest()
    return told.count("stats begun"), told.count("stats ended")


def test_figures_come_to_two_clients_from_one_program_and_it_ends_with_them(machine: Machine) -> None:
    machine.started()
    assert begun_and_ended(machine) == (0, 0)
    with machine.client() as first:
        for push in some(first, 3):
            assert push.sample is not None
            assert push.sample.machine.cpu_percent == 25.0
            assert push.sample.machine.memory_on_host_bytes
            assert push.sample.machine.disk_on_host_bytes
            (usage,) = push.sample.containers
            assert (usage.id, usage.cpu_percent, usage.memory_bytes) == (FAKE_ID, 50.0, 1048576)
        with machine.client() as second:
            some(second, 2)
            assert begun_and_ended(machine) == (1, 0)
        some(first, 1)
        first.request(messages.UnsubscribeStats())
        eventually(lambda: begun_and_ended(machine) == (1, 1), "the program ends with the last who wants it")
        some(first, 1)
    eventually(lambda: begun_and_ended(machine) == (2, 2), "it ends with a client that left without a word")


def test_they_come_again_after_the_machine_was_stopped_and_after_the_agent_was_killed(machine: Machine) -> None:
    machine.started()
    with machine.client() as client:
        some(client, 1)
        client.request(messages.Stop())
        until(client, Phase.STOPPED)
        client.request(messages.Start())
        until(client, Phase.RUNNING)
        some(client, 1)
        agent = client.agent_pid
    kill(agent)
    with machine.client() as client:
        until(client, Phase.RUNNING)
        some(client, 1)


def test_an_image_without_the_program_is_reported_once(machine: Machine) -> None:
    machine.cue(stats_exit=127)
    machine.started()
    with machine.client() as client:
        (push,) = some(client, 1)
        assert push.problem == TOO_OLD
        assert not list(client.stats(timeout_s=3.0))[1:]
    assert begun_and_ended(machine) == (1, 1)


def test_a_subscriber_that_reads_nothing_holds_up_nobody(machine: Machine) -> None:
    machine.started()
    with machine.client() as client, socket.socket(socket.AF_UNIX) as lazy:
        lazy.connect(str(machine.paths.agent_socket))
        hello = encode(Hello(protocol=PROTOCOL, version="test", pid=os.getpid()))
        lazy.sendall(hello + encode(request_line(1, messages.SubscribeStats())))
        some(client, 40)
        lazy.settimeout(PATIENCE_S)
        lines = lazy.makefile("rb")
        kinds = [json.loads(lines.readline())["type"] for _ in range(5)]
        lines.close()
        assert "stats" in kinds
