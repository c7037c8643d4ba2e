"""Prints where a run's time went: by folder of tests, and by worker where several run side by side."""

from __future__ import annotations

from collections import defaultdict
from pathlib import PurePosixPath

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the tables, in every run of more than one folder."""
    reports = [
        report
        for reports in terminalreporter.stats.values()
        for report in reports
        if isinstance(report, pytest.TestReport)
    ]
    folders, workers = defaultdict[str, list[float]](list), defaultdict[str, list[float]](list)
    for report in reports:
        folders[str(PurePosixPath(*PurePosixPath(report.nodeid.split("::")[0]).parts[:2]))].append(report.duration)
        workers[getattr(report, "worker_id", "")].append(report.duration)
    if hasattr(config, "workerinput") or len(folders) < 2:
        return
    terminalreporter.section("seconds by folder")
    for name, durations in sorted(folders.items(), key=lambda item: -sum(item[1])):
        terminalreporter.line(f"{sum(durations):8.1f}  {name}")
    if len(workers) > 1:
        terminalreporter.section("seconds by worker")
        for name, durations in sorted(workers.items()):
            terminalreporter.line(f"{sum(durations):8.1f}  {name}")
