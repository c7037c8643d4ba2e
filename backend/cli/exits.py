"""The exit codes of `wherry`, as `wherry --help` lists them."""

from typing import Final

EXIT_OK: Final = 0  # done
EXIT_PROBLEM: Final = 1  # a problem was reported
EXIT_USAGE: Final = 2  # the command line was not understood
EXIT_STOPPED: Final = 3  # the machine is not running: of `status`, and of commands that need it
EXIT_OUTPUT_CLOSED: Final = 141  # the reader of the output has closed it; as of a program that SIGPIPE ends
EXIT_INTERRUPTED: Final = 130  # Ctrl-C; what was begun has been undone
