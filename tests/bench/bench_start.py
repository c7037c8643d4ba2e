"""How long until `docker ps` is answered: `python tests/bench/bench_start.py`. Needs root for the stock machine, once.

One run measures, on the same QEMU, accelerator (software emulation), CPUs and memory:

  stock         a stock Debian with systemd, cloud-init and docker.io, until `docker ps` answers inside it
  first         `wherry start` in an empty home, then `docker ps` through the host's socket
  second        the same again after `wherry stop`
  floor         from starting QEMU to the guest's init, plus a start of dockerd alone in a booted guest, from its
                process to its first answer (median of 3)
  pieces        what the second start consists of, as the agent's ladder and the guest itself tell

and beside them the idle guest's memory and the agent's.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.bench import stock  # noqa: E402
from tests.vm.support.machine import Machine, wait_until  # noqa: E402
from tests.vm.support.tools import find_tools  # noqa: E402
from vmimage.packages import stale_index_allowed  # noqa: E402

CPUS, MEMORY_MIB = 2, 2048


def timed_start(machine: Machine) -> float:
    """Seconds from the command to the answered `docker ps`."""
    begun = time.monotonic()
    machine.wherry("start", timeout_s=900)
    machine.docker("ps")
    return time.monotonic() - begun


def dockerd_alone(machine: Machine) -> float:
    """Seconds from the start of dockerd's process to its first answer, started again in a booted guest.

    The guest notes both moments itself, as it does in every boot; each look from here is a login that takes its time.
    """
    machine.wherry("shell", "kill $(pidof dockerd)")
    time.sleep(12)

    def span() -> float | None:
        stages = machine.wherry("shell", "cat /run/wherry/stage/dockerd-started /run/wherry/stage/dockerd").stdout
        begun, served = (float(line.split()[-1]) for line in stages.splitlines())
        return served - begun if served > begun else None

    return float(wait_until("dockerd to serve again", span, timeout_s=200, every_s=12))


def main() -> None:
    """Run and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image", type=Path, default=os.environ.get("WHERRY_TEST_IMAGE"), help="guest image directory")
    parser.add_argument("--rounds", type=int, default=3, help="second starts to measure (median is shown)")
    parser.add_argument("--no-stock", action="store_true", help="leave the stock machine out")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        base = Path(name)
        (base / "docker").mkdir()
        # As an installed program has it: its own modules are compiled once, not at each start.
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        os.environ["PYTHONPYCACHEPREFIX"] = str(base / "compiled")
        tools = find_tools()
        machine = Machine(home=base / "home", image=options.image, tools=tools, docker_config=base / "docker")
        for key, value in {"cpus": str(CPUS), "memory_mib": str(MEMORY_MIB), "accelerator": "tcg"}.items():
            machine.wherry("config", "set", f"machine.{key}", value)
        rows: list[tuple[str, float]] = []
        if not options.no_stock:
            made = stock.build(stock.cache(), allow_stale=stale_index_allowed(False))
            wall, _ = stock.boot(made, base, cpus=CPUS, memory_mib=MEMORY_MIB)
            rows.append(("stock Debian", wall))
        try:
            rows.append(("first start", timed_start(machine)))
            machine.wherry("stop")
            seconds, steps = [], []
            for _ in range(options.rounds):
                seconds.append(timed_start(machine))
                steps.append({step["name"]: step["elapsed_s"] for step in machine.status()["steps"]})
                if len(seconds) < options.rounds:
                    machine.wherry("stop")
            middle = steps[seconds.index(sorted(seconds)[len(seconds) // 2])]
            rows.append(("second start", statistics.median(seconds)))
            alone = statistics.median(dockerd_alone(machine) for _ in range(3))
            to_init = middle["launch"] + middle["kernel"]
            rows.append(("floor: to init", to_init))
            rows.append(("floor: dockerd alone", alone))
            rows.append(("floor", to_init + alone))
            rows += [(f"  piece: {name}", elapsed) for name, elapsed in middle.items()]
            for label, took in rows:
                print(f"{label:24} {took:8.2f} s")
            print(f"second / floor           {statistics.median(seconds) / (to_init + alone):8.2f}")
            if not options.no_stock:
                print(f"stock / second           {rows[0][1] / statistics.median(seconds):8.2f}")
            free = machine.wherry("shell", "free -m").stdout.splitlines()[1].split()
            agent = Path(f"/proc/{machine.agent_pid()}/status").read_text()
            resident = next(line.split()[1] for line in agent.splitlines() if line.startswith("VmRSS"))
            print(f"guest memory used        {free[2]:>8} MiB")
            print(f"agent resident           {int(resident) / 1024:8.1f} MiB")
        finally:
            machine.wherry("stop", "--kill", check=False)


if __name__ == "__main__":
    main()
