"""The facade: all that the window may import of the backend.

docker-py costs a tenth of a second to import, so the engine's client is loaded when it is first asked for.
"""

from __future__ import annotations

from backend import VERSION
from backend.agent.protocol import (
    PROTOCOL,
    Hello,
    NoticePush,
    Reply,
    Request,
    StatusPush,
    check_protocol,
    decode_from_agent,
    encode,
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

__all__ = [
    "PROTOCOL",
    "VERSION",
    "AcceleratorStatus",
    "Cancelled",
    "Desired",
    "EngineEndpoint",
    "Hello",
    "MachineResources",
    "MachineStatus",
    "Notice",
    "NoticePush",
    "Phase",
    "Problem",
    "ProblemCode",
    "Reply",
    "Request",
    "StatusPush",
    "StepState",
    "StepStatus",
    "StopPolicy",
    "WherryError",
    "WrongPhase",
    "check_protocol",
    "decode_from_agent",
    "encode",
    "fail",
]
