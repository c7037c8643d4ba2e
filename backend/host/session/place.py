"""Where the endpoint of one machine is, and what serves it: all that a session has to know."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointPlace:
    """The endpoint of one machine."""

    home: Path
    """The machine's folder."""
    is_default: bool
    """Whether it is the user's one default machine."""
    docker_socket: Path
    keeper_socket: Path
    """Where the keeper hands the docker socket to the agent."""
    keeper_lock: Path
    """Locked by a keeper that no manager of the session starts."""
    agent_output: Path
    """File for what an agent prints that does not start."""
    agent: tuple[str, ...]
    """The command of the agent."""
    keeper: tuple[str, ...]
    """The command of the keeper, without its options."""
    starter: tuple[str, ...]
    """The command that starts a keeper at login."""

    @property
    def name(self) -> str:
        """The name in the session: "wherry", or for a machine in another folder "wherry-" and a digest of its path."""
        if self.is_default:
            return "wherry"
        return f"wherry-{hashlib.sha256(str(self.home).encode()).hexdigest()[:12]}"

    def keeper_command(self, kind: str, *, descriptors: str = "") -> list[str]:
        """The keeper's command line.

        Args:
            kind: "own", "systemd" or "launchd"; see keeper.py.
            descriptors: for "own": those of docker socket, keeper socket and lock, as "3,4,5".
        """
        options = ["--kind", kind, "--docker", str(self.docker_socket), "--control", str(self.keeper_socket)]
        options += ["--output", str(self.agent_output)]
        if descriptors:
            options += ["--fds", descriptors]
        return [*self.keeper, *options, "--", *self.agent]
