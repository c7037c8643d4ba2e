"""`wherry config`, `context` and `autostart`."""

from __future__ import annotations

import argparse

from backend import host
from backend.agent.services.settings import set_autostart
from backend.cli.exits import EXIT_OK
from backend.cli.output import print_json
from backend.control.launch import machine_directory
from backend.engine import context
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
    directory = machine_directory(options.home)
    directory.create()
    if options.key == "machine.disk_gib" and options.value.strip().isdecimal():
        disks.check_size(data_disk_path(directory), int(options.value))
    changed = config.set_value(directory.config, options.key, options.value)
    if options.json:
        print_json({options.key: config.get(changed, options.key)})
        return EXIT_OK
    print(f"{options.key} = {_text(config.get(changed, options.key))}")
    needs_restart = not options.key.startswith("docker.") and options.key not in config.LIFECYCLE_KEYS
    if needs_restart and directory.run_record.exists():
        print(_("It takes effect at the next start: wherry restart"))
    return EXIT_OK


def add_context(options: argparse.Namespace) -> int:
    """Create the docker context."""
    directory = machine_directory(options.home)
    return _print_change(context.install(host.current().docker_url(directory.docker_socket)), options)


def remove_context(options: argparse.Namespace) -> int:
    """Remove the docker context."""
    return _print_change(context.remove(), options)


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
