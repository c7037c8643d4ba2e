"""Downloading and unpacking Debian packages without running their code.

``mmdebstrap --variant=extract`` resolves dependencies, verifies the archive's signatures, downloads and unpacks.
Maintainer scripts never run: the builder creates what is needed of their results.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import urllib.parse
from collections.abc import Iterable, Mapping
from pathlib import Path

from vmimage import tools
from vmimage.description import Description
from vmimage.errors import ImageError

_ARCHIVES = Path("var/cache/apt/archives")
_STALE = re.compile(r"(Release file for .* is expired|not valid any ?more|Release file .* is not valid)", re.IGNORECASE)
_SWITCH = "WHERRY_ALLOW_STALE_INDEX"


def stale_index_allowed(asked: bool, environment: Mapping[str, str] | None = None) -> bool:
    """Whether an apt index past its validity date may be used.

    True if `asked` (the command line switch), if WHERRY_ALLOW_STALE_INDEX is "1", or if this machine's apt is
    configured to accept it (a machine behind a frozen mirror).
    """
    environment = os.environ if environment is None else environment
    if asked or environment.get(_SWITCH) == "1":
        return True
    apt_config = shutil.which("apt-config")
    if apt_config is None:
        return False
    done = subprocess.run(
        [apt_config, "dump", "--format=%v%n", "Acquire::Check-Valid-Until"],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    return done.returncode == 0 and done.stdout.strip().lower() in {"false", "no", "0", "off"}


def fetch(description: Description, arch: str, target: Path, *, allow_stale: bool) -> dict[str, str]:
    """Download and unpack the packages of `arch` into the new directory `target`. Returns their versions by name.

    Raises ImageError: no tool, no network, a stale index that is not allowed, or a version outside its pin.
    """
    command = [
        "mmdebstrap",
        # Chrootless: no namespaces and mounts, so no root. Nothing is configured, so no code of the packages runs.
        "--mode=chrootless",
        "--variant=extract",
        "--format=directory",
        f"--architectures={arch}",
        f"--include={','.join(description.packages_for(arch))}",
        '--aptopt=APT::Install-Recommends "false"',
        # In this variant the names of the downloaded archives are the only record of versions.
        "--skip=cleanup/apt",
    ]
    if allow_stale:
        command.append('--aptopt=Acquire::Check-Valid-Until "false"')
    command += [description.suite, str(target)]
    try:
        tools.run(
            command,
            what=f"Could not get the {arch} packages of Debian {description.suite}.",
            advice="Check the network and the package names in vmimage/image.toml, then build again.",
        )
    except ImageError as error:
        if _STALE.search(error.output):
            raise ImageError(
                f"The package index of Debian {description.suite} is past its validity date, so it was refused: "
                "either the mirror is frozen, or somebody replays an old index, or this machine's clock is wrong.",
                ran=error.ran,
                output=error.output,
                advice=f"If the mirror is meant to be frozen, build with --allow-stale-index (or {_SWITCH}=1); "
                "otherwise use a live mirror and check the clock.",
            ) from error
        raise
    versions = versions_of(path.name for path in (target / _ARCHIVES).glob("*.deb"))
    check_pins(description.pins, versions)
    return versions


def versions_of(file_names: Iterable[str]) -> dict[str, str]:
    """{"docker.io": "28.5.2+dfsg4-5"} from names like ``docker.io_28.5.2+dfsg4-5_amd64.deb``, sorted by name."""
    versions: dict[str, str] = {}
    for name in sorted(file_names):
        parts = name.removesuffix(".deb").split("_")
        if len(parts) != 3:
            raise ImageError(f"The file name {name!r} is not that of a Debian package.")
        versions[parts[0]] = urllib.parse.unquote(parts[1])
    return versions


def check_pins(pins: Mapping[str, str], versions: Mapping[str, str]) -> None:
    """Raise ImageError unless each pinned package exists with a version that starts with its pin (without epoch)."""
    for name, prefix in pins.items():
        version = versions.get(name)
        if version is None:
            raise ImageError(
                f"The pinned package {name} is not among the packages that were installed.",
                advice="Correct [pins] in vmimage/image.toml.",
            )
        if not version.split(":", 1)[-1].startswith(prefix):
            raise ImageError(
                f"The suite now has {name} {version}, but the image is described for {prefix}*.",
                advice="Test the image with the new version, then change its pin in vmimage/image.toml.",
            )
