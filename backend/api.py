"""The facade: all that the window may import of the backend.

docker-py costs a tenth of a second to import, so the engine's client, and what is asked through it, is loaded
when it is first wanted.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from backend import VERSION
from backend.addresses import Origin as PortOrigin
from backend.addresses import PortState, PortStatus
from backend.addresses import Protocol as PortProtocol
from backend.control import messages
from backend.control.lines import MAX_LINE_BYTES, LineBuffer
from backend.control.messages.request import AnswerT, Request
from backend.control.protocol import (
    PROTOCOL,
    Hello,
    NoticePush,
    ReplyLine,
    StatsPush,
    StatusPush,
    check_protocol,
    decode_from_agent,
    encode,
    read_reply,
    request_line,
)
from backend.engine.client.details import (
    ContainerDetails,
    ContainerLimits,
    ContainerRun,
    GraphDriver,
    HealthProbe,
    MountPoint,
    NetworkAttachment,
)
from backend.engine.client.listings import (
    ImageEntry,
    Listing,
    NetworkEntry,
    VolumeEntry,
    list_images,
    list_networks,
    list_volumes,
    volume_sizes,
)
from backend.engine.client.log_records import LOG_HEADER_BYTES, LOG_LINE_BYTES, LOG_TIME_BYTES, LogBlock, log_record
from backend.engine.client.pulling import PullProgress
from backend.engine.container.creating import (
    Created,
    RecreateStep,
    create_container,
    has_image,
    local_images,
    network_names,
    recreate_container,
    spec_of,
)
from backend.engine.container.page_types import (
    ChangeKind,
    ProcessTable,
    RemoteFile,
    RemoteStat,
    TerminalSize,
    check_image_name,
    split_image_name,
)
from backend.engine.container.transfer import Transfer
from backend.engine.spec.command import run_command
from backend.engine.spec.container_spec import (
    LEAST_MEMORY_BYTES,
    MOUNT_KINDS,
    PROTOCOLS,
    RESTART_POLICIES,
    ContainerSpec,
    MountSpec,
    PortSpec,
    is_container_name,
    is_host_path,
    is_image_reference,
    is_variable_name,
    is_volume_name,
    with_tag,
)
from backend.engine.types import (
    Container,
    ContainerAction,
    ContainerState,
    EngineEvent,
    EngineInfo,
    EngineVersion,
    Health,
    PortBinding,
    RemovePolicy,
    clean_text,
    cleaned,
)
from backend.errors import Action, Cancelled, Problem, ProblemCode, WherryError, WrongPhase, fail
from backend.messages import Message, Value, count_message, message, message_in, sentences, verbatim
from backend.model import (
    AcceleratorStatus,
    Desired,
    EngineEndpoint,
    HopState,
    MachineNetworks,
    MachineResources,
    MachineStatus,
    Notice,
    OperationStatus,
    Phase,
    StepState,
    StepStatus,
    StopPolicy,
)
from backend.preferences import PreferencesFile, preferences_file
from backend.settings.daemon_json import Finding as DaemonFinding
from backend.settings.daemon_json import Severity as FindingSeverity
from backend.settings.daemon_json import check as check_daemon_json
from backend.stats import ContainerUsage, MachineUsage, StatsSample
from backend.support.manual import HelpTopic, help_text, help_topics
from backend.texts import LANGUAGES, _, choose_language, ngettext, npgettext, pgettext, problem_text, say

if TYPE_CHECKING:
    from backend.control.launch import ensure_agent
    from backend.doctor import CheckResult, CheckSeverity, check_results_as_text, examine_home, repair_home
    from backend.doctor.network import (
        NetworkDiagnosis,
        NetworkHop,
        diagnose_network,
        diagnosis_as_text,
    )
    from backend.engine.client.engine_client import EngineClient
    from backend.engine.client.stream import EngineStream
    from backend.engine.container import archive, inside
    from backend.engine.container import exec as programs
    from backend.host.dirs import user_cache_dir
    from backend.support.bundle import SupportBundle, make_support_bundle

__all__ = [
    "LANGUAGES",
    "LEAST_MEMORY_BYTES",
    "LOG_HEADER_BYTES",
    "LOG_LINE_BYTES",
    "LOG_TIME_BYTES",
    "MAX_LINE_BYTES",
    "MOUNT_KINDS",
    "PROTOCOL",
    "PROTOCOLS",
    "RESTART_POLICIES",
    "VERSION",
    "AcceleratorStatus",
    "Action",
    "AnswerT",
    "Cancelled",
    "ChangeKind",
    "CheckResult",
    "CheckSeverity",
    "Container",
    "ContainerAction",
    "ContainerDetails",
    "ContainerLimits",
    "ContainerRun",
    "ContainerSpec",
    "ContainerState",
    "ContainerUsage",
    "Created",
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
    "HelpTopic",
    "HopState",
    "ImageEntry",
    "LineBuffer",
    "Listing",
    "LogBlock",
    "MachineNetworks",
    "MachineResources",
    "MachineStatus",
    "MachineUsage",
    "Message",
    "MountPoint",
    "MountSpec",
    "NetworkAttachment",
    "NetworkDiagnosis",
    "NetworkEntry",
    "NetworkHop",
    "Notice",
    "NoticePush",
    "OperationStatus",
    "Phase",
    "PortBinding",
    "PortOrigin",
    "PortProtocol",
    "PortSpec",
    "PortState",
    "PortStatus",
    "PreferencesFile",
    "Problem",
    "ProblemCode",
    "ProcessTable",
    "PullProgress",
    "RecreateStep",
    "RemoteFile",
    "RemoteStat",
    "RemovePolicy",
    "ReplyLine",
    "Request",
    "StatsPush",
    "StatsSample",
    "StatusPush",
    "StepState",
    "StepStatus",
    "StopPolicy",
    "SupportBundle",
    "TerminalSize",
    "Transfer",
    "Value",
    "VolumeEntry",
    "WherryError",
    "WrongPhase",
    "_",
    "archive",
    "check_daemon_json",
    "check_image_name",
    "check_protocol",
    "check_results_as_text",
    "choose_language",
    "clean_text",
    "cleaned",
    "count_message",
    "create_container",
    "decode_from_agent",
    "diagnose_network",
    "diagnosis_as_text",
    "encode",
    "ensure_agent",
    "examine_home",
    "fail",
    "has_image",
    "help_text",
    "help_topics",
    "inside",
    "is_container_name",
    "is_host_path",
    "is_image_reference",
    "is_variable_name",
    "is_volume_name",
    "list_images",
    "list_networks",
    "list_volumes",
    "local_images",
    "log_record",
    "make_support_bundle",
    "message",
    "message_in",
    "messages",
    "network_names",
    "ngettext",
    "npgettext",
    "pgettext",
    "preferences_file",
    "problem_text",
    "programs",
    "read_reply",
    "recreate_container",
    "repair_home",
    "request_line",
    "run_command",
    "say",
    "sentences",
    "spec_of",
    "split_image_name",
    "user_cache_dir",
    "verbatim",
    "volume_sizes",
    "with_tag",
]

_LAZY = {
    "NetworkDiagnosis": "backend.doctor.network",
    "NetworkHop": "backend.doctor.network",
    "diagnose_network": "backend.doctor.network",
    "diagnosis_as_text": "backend.doctor.network",
    "CheckResult": "backend.doctor",
    "CheckSeverity": "backend.doctor",
    "repair_home": "backend.doctor",
    "check_results_as_text": "backend.doctor",
    "examine_home": "backend.doctor",
    "SupportBundle": "backend.support.bundle",
    "make_support_bundle": "backend.support.bundle",
    "EngineClient": "backend.engine.client.engine_client",
    "EngineStream": "backend.engine.client.stream",
    "ensure_agent": "backend.control.launch",
    "user_cache_dir": "backend.host.dirs",
}
_LAZY_MODULES = {
    "archive": "backend.engine.container.archive",
    "inside": "backend.engine.container.inside",
    "programs": "backend.engine.container.exec",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    if name in _LAZY_MODULES:
        return importlib.import_module(_LAZY_MODULES[name])
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
