"""The `wherry` command: parses the command line, runs one command and returns its exit code."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Callable
from pathlib import Path

from backend import VERSION
from backend.cli.exits import EXIT_INTERRUPTED, EXIT_OK, EXIT_OUTPUT_CLOSED, EXIT_PROBLEM, EXIT_STOPPED, EXIT_USAGE
from backend.cli.parser import CommandParser
from backend.cli.streams import OutputLost, prepare_streams
from backend.errors import ProblemCode, WherryError
from backend.texts import _, choose_language, language_of


def main(arguments: list[str] | None = None) -> int:
    """Run the command line in `arguments` (None: of this process) and return the exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    if given[:1] == ["agent"]:
        from backend.agent.__main__ import main as agent_main

        return agent_main(given[1:])
    if given[:1] == ["keeper"]:
        from backend.host.session.keeper import main as keeper_main

        return keeper_main(given[1:])
    if given[:1] == ["endpoint"]:
        from backend.control.session import main as endpoint_main

        return endpoint_main(given[1:])
    prepare_streams()
    choose_language(language_of())
    try:
        try:
            return _run(given)
        finally:
            sys.stdout.flush()
    except OutputLost as lost:
        if isinstance(lost.reason, BrokenPipeError):
            return EXIT_OUTPUT_CLOSED  # `wherry logs agent | head`
        reason = lost.reason.strerror or str(lost.reason)
        print(_("Couldn't write the output: {error}.", error=reason), file=sys.stderr)
        return EXIT_PROBLEM


def _run(given: list[str]) -> int:
    options = make_parser().parse_args(given)
    try:
        return int(options.run(options))
    except WherryError as error:
        from backend.cli.output import print_problem

        print_problem(error.problem, as_json=options.json)
        return EXIT_STOPPED if error.problem.code is ProblemCode.MACHINE_STOPPED else EXIT_PROBLEM
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except OSError as error:
        from backend.cli.output import print_problem
        from backend.files import explain_os_error

        print_problem(explain_os_error(error), as_json=options.json)
        return EXIT_PROBLEM


def _print_version(options: argparse.Namespace) -> int:
    if options.json:
        from backend.cli.output import print_json

        print_json({"version": VERSION})
    else:
        print(f"wherry {VERSION}")
    return EXIT_OK


def _epilog() -> str:
    codes = (
        (EXIT_OK, _("done")),
        (EXIT_PROBLEM, _("a problem was reported")),
        (EXIT_USAGE, _("the command line was not understood")),
        (EXIT_STOPPED, _("the machine is not running")),
        (EXIT_OUTPUT_CLOSED, _("the reader of the output has closed it")),
        (EXIT_INTERRUPTED, _("interrupted by Ctrl-C; what was begun has been undone")),
    )
    lines = [_("exit codes:"), *(f"  {code:<3}  {meaning}" for code, meaning in codes)]
    return "\n".join((*lines, "", _("manual: wherry help"), ""))


def _common(*, home: str | None, json: str | bool) -> argparse.ArgumentParser:
    """The options that are accepted before and after the command, with their defaults."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--home", type=Path, default=home, metavar="DIR", help=_("use the machine in DIR"))
    common.add_argument("--json", action="store_true", default=json, help=_("print JSON, for programs"))
    return common


def make_parser() -> CommandParser:
    """The parser of all commands; `options.run` of what it returns runs the command."""
    # Where an option is absent after the command, its value from before the command stays.
    common = _common(home=argparse.SUPPRESS, json=argparse.SUPPRESS)
    parser = CommandParser(
        prog="wherry",
        description=_("A Docker engine for this computer, in a small virtual machine."),
        epilog=_epilog(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[_common(home=None, json=False)],
    )
    parser.add_argument("--version", action="version", version=f"wherry {VERSION}")
    verbs = parser.add_subparsers(
        title=_("commands"), metavar="COMMAND", required=True, parser_class=argparse.ArgumentParser
    )

    def verb(name: str, help_text: str, module: str, function: str) -> argparse.ArgumentParser:
        sub = verbs.add_parser(name, help=help_text, description=help_text, parents=[common])
        sub.set_defaults(run=_lazy(module, function))
        return sub

    sub = verb("start", _("Start the machine and wait until the engine answers"), "machine", "start")
    sub.add_argument("--cpus", metavar="N", help=_("processors, from now on (machine.cpus)"))
    sub.add_argument("--memory", metavar="GIB", help=_("memory in GiB, from now on (machine.memory_mib)"))
    sub.add_argument("--disk", metavar="GIB", help=_("largest size of the disk in GiB (machine.disk_gib)"))
    sub = verb("stop", _("Stop the machine; containers are stopped in order"), "machine", "stop")
    sub.add_argument("--kill", action="store_true", help=_("at once, without waiting for containers"))
    sub.add_argument("--quit", action="store_true", help=_("also end the agent: no docker command starts the machine"))
    verb(
        "suspend",
        _("Save the running machine to disk; a start, or its use, goes on from there"),
        "machine",
        "suspend",
    )
    one = verb("restart", _("Stop and start the machine"), "machine", "restart").add_mutually_exclusive_group()
    one.add_argument("--kill", action="store_true", help=_("at once, without waiting for containers"))
    one.add_argument("--agent", action="store_true", help=_("restart only the agent; containers go on"))
    one.add_argument("--engine", action="store_true", help=_("restart only the Docker engine in the machine"))
    verb("reclaim", _("Have the machine give back memory and disk that it does not use"), "reclaim", "reclaim")
    verb("status", _("Say what the machine is doing"), "machine", "status")
    sub = verb("shell", _("Open a shell in the machine, or run one command there"), "guest", "shell")
    sub.add_argument("command", nargs=argparse.REMAINDER, help=_("the command; none opens a shell"))
    verb("console", _("Open the machine's serial console (leave it with Ctrl-])"), "guest", "console")
    sub = verb("logs", _("Print a log"), "guest", "logs")
    sub.add_argument("which", nargs="?", default="agent", choices=_LOGS, help=_("default: agent"))
    sub.add_argument("-f", "--follow", action="store_true", help=_("go on printing what comes"))
    sub.add_argument("-n", "--lines", type=_positive, default=200, help=_("how many of the last lines (200)"))
    sub = verb("stats", _("Show what the machine and its containers use"), "stats", "stats")
    sub.add_argument("--no-stream", action="store_true", help=_("print one sample and end"))
    verb("ports", _("List the ports of this computer that lead to containers"), "ports", "ports")
    verb("env", _("Print the setting that points docker at the engine: eval $(wherry env)"), "guest", "environment")
    sub = verb("doctor", _("Check everything that the machine needs"), "doctor", "run_doctor")
    sub.add_argument(
        "checks",
        nargs="*",
        metavar="CHECK",
        help=_("only these checks, by id (--json prints the ids); or: network [IMAGE], why an image cannot be pulled"),
    )
    sub.add_argument("--fix", action="store_true", help=_("mend what can be mended without losing anything"))
    sub = verb("support-bundle", _("Collect logs and facts, without secrets, in one file"), "doctor", "support_bundle")
    sub.add_argument("file", nargs="?", type=Path, help=_("the archive to make (wherry-support-TIME.zip)"))
    sub = verb("reset", _("Make the machine as new; what it has is kept as a checkpoint"), "operations", "reset")
    sub.add_argument("--yes", action="store_true", help=_("do not ask"))
    sub.add_argument("--no-checkpoint", action="store_true", help=_("delete everything for good"))
    sub = verb("update", _("Update the guest image; containers, images and volumes stay"), "operations", "update")
    sub.add_argument("--check", action="store_true", help=_("only say whether there is a newer one"))
    sub.add_argument("--image", type=Path, metavar="DIR", help=_("take the image in DIR"))

    sub = verb("autostart", _("Start the Wherry window when you log in"), "settings", "turn_autostart")
    sub.add_argument("wanted", nargs="?", default="status", choices=("on", "off", "status"), help=_("default: status"))

    sub = verbs.add_parser("version", help=_("Print the version"), parents=[common])
    sub.set_defaults(run=_print_version)
    sub = verb("uninstall", _("Stop the machine and remove what Wherry put into your session"), "machine", "uninstall")
    sub.add_argument("--yes", action="store_true", help=_("do not ask"))

    sub = verb("help", _("List the topics of the manual, or show one"), "manual", "show")
    sub.add_argument("topic", nargs="?", metavar="TOPIC", help=_("a topic, or a command"))
    sub.set_defaults(commands=verbs.choices)

    checkpoint = verbs.add_parser(
        "checkpoint", help=_("Save the state of the machine's disk, and go back to it"), parents=[common]
    )
    _checkpoint_verbs(checkpoint, common)

    config = verbs.add_parser("config", help=_("Read and change settings"), parents=[common])
    config_verbs = config.add_subparsers(metavar="get|set", required=True)
    sub = config_verbs.add_parser("get", help=_("print one setting, or all"), parents=[common])
    sub.add_argument("key", nargs="?")
    sub.set_defaults(run=_lazy("settings", "get"))
    sub = config_verbs.add_parser("set", help=_("change one setting"), parents=[common])
    sub.add_argument("key")
    sub.add_argument("value")
    sub.set_defaults(run=_lazy("settings", "set_value"))

    disk = verbs.add_parser("disk", help=_("Grow or move the data disk, or say where it is"), parents=[common])
    disk_verbs = disk.add_subparsers(metavar="status|grow|move", required=True)
    sub = disk_verbs.add_parser("status", help=_("say where it is and how large"), parents=[common])
    sub.set_defaults(run=_lazy("operations", "disk_status"))
    sub = disk_verbs.add_parser("grow", help=_("make it larger, while the machine runs too"), parents=[common])
    sub.add_argument("size_gib", type=_positive, metavar="GIB", help=_("its size afterwards, in GiB"))
    sub.set_defaults(run=_lazy("operations", "disk_grow"))
    sub = disk_verbs.add_parser(
        "move", help=_("move it to another folder; the machine is stopped meanwhile"), parents=[common]
    )
    sub.add_argument("directory", type=Path, metavar="DIR")
    sub.set_defaults(run=_lazy("operations", "disk_move"))

    context = verbs.add_parser("context", help=_("Make or remove the docker context"), parents=[common])
    context_verbs = context.add_subparsers(metavar="add|remove|testcontainers", required=True)
    sub = context_verbs.add_parser(
        "add", help=_("make it, and use it unless you have another engine"), parents=[common]
    )
    sub.set_defaults(run=_lazy("settings", "add_context"))
    sub = context_verbs.add_parser("remove", help=_("remove it; docker goes back to its default"), parents=[common])
    sub.set_defaults(run=_lazy("settings", "remove_context"))
    sub = context_verbs.add_parser(
        "testcontainers", help=_("have Testcontainers for Java and Node find the engine"), parents=[common]
    )
    sub.set_defaults(run=_lazy("settings", "point_testcontainers"))
    parser.commands = verbs.choices
    return parser


def _checkpoint_verbs(checkpoint: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    verbs = checkpoint.add_subparsers(metavar="list|create|restore|delete", required=True)

    def verb(name: str, help_text: str, function: str, *, asks: bool = False) -> argparse.ArgumentParser:
        sub = verbs.add_parser(name, help=help_text, description=help_text, parents=[common])
        sub.set_defaults(run=_lazy("checkpoints", function))
        if asks:
            sub.add_argument("--yes", action="store_true", help=_("do not ask"))
        return sub

    verb("list", _("list them, oldest first"), "show")
    sub = verb("create", _("take one; of a machine that runs, too"), "create")
    sub.add_argument("name", nargs="?", help=_("to know it by"))
    sub.add_argument("--force", action="store_true", help=_("even if the guest does not hold its writes meanwhile"))
    sub = verb("restore", _("make all containers, images and volumes what they were then"), "restore", asks=True)
    sub.add_argument("id")
    sub = verb("delete", _("delete some; what only they hold is free again"), "delete", asks=True)
    sub.add_argument("id", nargs="+")


_LOGS = ("agent", "qemu", "guest", "engine", "containerd", "sshd")


def _lazy(module: str, function: str) -> Callable[[argparse.Namespace], int]:
    """Import a command's module only when it runs, so that `wherry --help` and `wherry status` stay fast."""

    def run(options: argparse.Namespace) -> int:
        return int(getattr(importlib.import_module(f"backend.cli.{module}"), function)(options))

    return run


def _positive(text: str) -> int:
    if not text.isdecimal() or (number := int(text)) < 1:
        raise argparse.ArgumentTypeError(_("“{text}” is not a whole number from 1 on", text=text))
    return number


if __name__ == "__main__":
    sys.exit(main())
