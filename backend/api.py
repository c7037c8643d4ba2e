"""The facade: all that the window may import of the backend.

docker-py costs a tenth of a second to import, so the engine's client is loaded when it is first asked for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from backend import VERSION
from backend.agent.protocol import (
    MAX_LINE_BYTES,
    PROTOCOL,
    Hello,
    NoticePush,
    Reply,
    Request,
    StatsPush,
    StatusPush,
    check_protocol,
    decode_from_agent,
    encode,
)
from backend.daemon_json import Finding as DaemonFinding
from backend.daemon_json import Severity as FindingSeverity
from backend.daemon_json import check as check_daemon_json
from backend.engine.details import (
    ContainerDetails,
    ContainerLimits,
    ContainerRun,
    GraphDriver,
    HealthProbe,
    MountPoint,
    NetworkAttachment,
)
from backend.engine.types import (
    Container,
    ContainerAction,
    ContainerState,
    EngineEvent,
    EngineInfo,
    EngineVersion,
    Health,
    LogChunk,
    LogStream,
    PortBinding,
    RemovePolicy,
    clean_text,
)
from backend.errors import Cancelled, Problem, ProblemCode, WherryError, WrongPhase, fail
from backend.model import (
    AcceleratorStatus,
    Desired,
    EngineEndpoint,
    MachineResources,
    MachineStatus,
    Notice,
    Phase,
    StepState,
    StepStatus,
    StopPolicy,
)
from backend.preferences import PreferencesFile, preferences_file
from backend.stats import ContainerUsage, MachineUsage, StatsSample

if TYPE_CHECKING:
    from backend.agent.launch import ensure_agent
    from backend.engine.client import EngineClient, EngineStream

__all__ = [
    "MAX_LINE_BYTES",
    "PROTOCOL",
    "VERSION",
    "AcceleratorStatus",
    "Cancelled",
    "Container",
    "ContainerAction",
    "ContainerDetails",
    "ContainerLimits",
    "ContainerRun",
    "ContainerState",
    "ContainerUsage",
    "DaemonFinding",
    "Desired",
    "EngineClient",
    "EngineEndpoint",
    "EngineEvent",
    "EngineInfo",
    "EngineStream",
    "EngineVersion",
    "FindingSeverity",
    "GraphDriver",
    "Health",
    "HealthProbe",
    "Hello",
    "LogChunk",
    "LogStream",
    "MachineResources",
    "MachineStatus",
    "MachineUsage",
    "MountPoint",
    "NetworkAttachment",
    "Notice",
    "NoticePush",
    "Phase",
    "PortBinding",
    "PreferencesFile",
    "Problem",
    "ProblemCode",
    "RemovePolicy",
    "Reply",
    "Request",
    "StatsPush",
    "StatsSample",
    "StatusPush",
    "StepState",
    "StepStatus",
    "StopPolicy",
    "WherryError",
    "WrongPhase",
    "check_daemon_json",
    "check_protocol",
    "clean_text",
    "decode_from_agent",
    "encode",
    "ensure_agent",
    "fail",
    "preferences_file",
]

_LAZY = {
    "EngineClient": "backend.engine.client",
    "EngineStream": "backend.engine.client",
    "ensure_agent": "backend.agent.launch",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
