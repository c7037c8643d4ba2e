"""`wherry ports`: lists the ports of this computer that are forwarded to containers."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Final

from backend.addresses import PortState, PortStatus
from backend.cli.exits import EXIT_OK, EXIT_PROBLEM
from backend.cli.machine import running
from backend.cli.output import print_json
from backend.control.messages import ListPorts
from backend.messages import message_in
from backend.texts import _, say

_STATES: Final = {
    PortState.OPEN: message_in("state of a port", "open"),
    PortState.TAKEN: message_in("state of a port", "taken"),
    PortState.REFUSED: message_in("state of a port", "refused"),
    PortState.OPENING: message_in("state of a port", "opening"),
}


def ports(options: argparse.Namespace) -> int:
    """Print the published ports. EXIT_PROBLEM if one of them is not open."""
    with running(options) as client:
        rows = client.request(ListPorts()).ports
    if options.json:
        print_json({"ports": rows})
    elif not rows:
        print(_("No container publishes a port. For example: docker run -d -p 8080:80 nginx"))
    else:
        print(table(rows), end="")
    return EXIT_OK if all(row.state is PortState.OPEN for row in rows) else EXIT_PROBLEM


def table(rows: Sequence[PortStatus]) -> str:
    """The ports as a table. A port that is not open has the reason in the line below."""
    columns = (_("ADDRESS"), _("CONTAINER"), _("CONTAINER PORT"), _("CONNECTIONS"), _("STATE"))
    lines = [columns, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(columns))]
    text = []
    for number, line in enumerate(lines):
        cells = zip(line, widths, strict=True)
        text.append("   ".join(cell.ljust(width) for cell, width in cells).rstrip())
        if number and (problem := rows[number - 1].problem):
            text.append(f"    {say(problem)}")
    return "\n".join(text) + "\n"


def _cells(row: PortStatus) -> tuple[str, ...]:
    host = f"[{row.address}]" if ":" in row.address else row.address
    return (
        f"{host}:{row.port}/{row.protocol.value}",
        row.container or row.container_id[:12],
        f"{row.container_port}/{row.protocol.value}" if row.container_port is not None else "",
        str(row.connections) if row.connections is not None else "-",
        say(_STATES[row.state]),
    )
