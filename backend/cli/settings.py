"""`wherry config`, `context` and `autostart`."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from backend import host
from backend.agent.services.settings import set_autostart
from backend.cli.exits import EXIT_OK
from backend.cli.output import print_json
from backend.control.client import MachineClient
from backend.control.launch import agent_answers, machine_directory
from backend.control.messages import SetSettings
from backend.control.session import KEEP_ENDPOINT, endpoint_place, endpoint_stays, is_wanted
from backend.engine import context, testcontainers
from backend.settings import config
from backend.settings.disk import data_disk_path
from backend.texts import _, say
from backend.vm.disk import disks


def get(options: argparse.Namespace) -> int:
    """Print one setting, or all of them."""
    loaded = config.load(machine_directory(options.home).config)
    names = [options.key] if options.key else list(config.keys())
    values = {name: config.get(loaded, name) for name in names}
    if options.json:
        print_json(values)
    elif options.key:
        print(_text(values[options.key]))
    else:
        for name, value in values.items():
            print(f"{name} = {_text(value)}")
    return EXIT_OK


def set_value(options: argparse.Namespace) -> int:
    """Change one setting and print when it takes effect."""
    store(options.home, {options.key: options.value}, quiet=options.json)
    if options.json:
        print_json({options.key: config.get(config.load(machine_directory(options.home).config), options.key)})
    return EXIT_OK


def store(home: Path | None, wanted: Mapping[str, str], *, quiet: bool) -> None:
    """Change settings, all or none, and print them and when they take effect, unless `quiet`. Raises WherryError."""
    directory = machine_directory(home)
    directory.create()
    size = wanted.get("machine.disk_gib", "").strip()
    if size.isdecimal():
        disks.check_size(data_disk_path(directory), int(size))
    changed = config.set_typed(directory.config, wanted)
    if KEEP_ENDPOINT in wanted:
        _follow_keep_endpoint(home, keep=changed.docker.keep_endpoint)
    if quiet:
        return
    for key in wanted:
        print(f"{key} = {_text(config.get(changed, key))}")
    at_next_start = any(not key.startswith("docker.") and key not in config.LIFECYCLE_KEYS for key in wanted)
    if at_next_start and directory.run_record.exists():
        print(_("It takes effect at the next start: wherry restart"))


def _follow_keep_endpoint(home: Path | None, *, keep: bool) -> None:
    """Have the session keep the docker endpoint, or let go of it. Raises WherryError."""
    directory = machine_directory(home)
    machine_host = host.current()
    endpoint = machine_host.session_endpoint(endpoint_place(directory))
    if endpoint is None:
        return
    if agent_answers(machine_host, directory):
        with MachineClient.open(home) as client:
            client.request(SetSettings(values={KEEP_ENDPOINT: keep}))
        return
    try:
        if not keep:
            endpoint.remove()
        elif is_wanted(directory):
            endpoint.start()
    except OSError as error:
        raise endpoint_stays(error) from error


def add_context(options: argparse.Namespace) -> int:
    """Create the docker context."""
    directory = machine_directory(options.home)
    return _print_change(context.install(host.current().docker_url(directory.docker_socket)), options)


def remove_context(options: argparse.Namespace) -> int:
    """Remove the docker context."""
    testcontainers.remove()
    return _print_change(context.remove(), options)


def point_testcontainers(options: argparse.Namespace) -> int:
    """Have Testcontainers find the engine, by its properties file."""
    directory = machine_directory(options.home)
    return _print_change(testcontainers.point_to(host.current().docker_url(directory.docker_socket)), options)


def turn_autostart(options: argparse.Namespace) -> int:
    """Turn starting the window at login on or off, or print which it is."""
    machine_host = host.current()
    autostart = machine_host.autostart()
    if options.wanted != "status":
        set_autostart(machine_host, machine_directory(options.home), on=options.wanted == "on")
    on = autostart.is_on()
    if options.json:
        print_json({"on": on, "place": autostart.place})
    else:
        place = str(autostart.place)
        print(
            _("Wherry starts when you log in ({place}).", place=place)
            if on
            else _("Wherry does not start when you log in ({place}).", place=place)
        )
    return EXIT_OK


def _print_change(change: context.ContextChange, options: argparse.Namespace) -> int:
    print_json(change) if options.json else print(say(change.note))
    return EXIT_OK


def _text(value: int | str | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
