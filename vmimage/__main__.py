"""The command line of the image builder: ``python3 -m vmimage build|pack|key|verify``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from vmimage import build, description, manifest
from vmimage.errors import ImageError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit status: 0 on success, 1 after printing the error."""
    parser = argparse.ArgumentParser(prog="python3 -m vmimage", description="Build and check the guest image.")
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("build", help="build an image directory")
    one.add_argument("--arch", required=True, choices=("amd64", "arm64"))
    one.add_argument("--output", required=True, type=Path, metavar="DIR")
    one.add_argument(
        "--allow-stale-index",
        action="store_true",
        help="accept a package index past its validity date, as a frozen mirror serves it",
    )
    one = commands.add_parser("pack", help="make the download archive of an image directory")
    one.add_argument("--image", required=True, type=Path, metavar="DIR")
    one.add_argument("--output", required=True, type=Path, metavar="FILE.tar.xz")
    one = commands.add_parser("key", help="print the key of everything that decides the image's content")
    one.add_argument("--arch", required=True, choices=("amd64", "arm64"))
    one = commands.add_parser("verify", help="check an image directory against its manifest")
    one.add_argument("image", type=Path, metavar="DIR")
    options = parser.parse_args(arguments)
    try:
        _run(options)
    except ImageError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _run(options: argparse.Namespace) -> None:
    if options.command == "key":
        print(description.content_key(options.arch))
    elif options.command == "build":
        build.build(options.arch, options.output, allow_stale=options.allow_stale_index)
        for key in manifest.ARTEFACTS:
            part = manifest.read(options.output)[key]
            print(f"{part['file']}: {part['size']} bytes, sha256 {part['sha256']}")
    elif options.command == "pack":
        print(f"{options.output}: {build.pack(options.image, options.output)} bytes")
    else:
        content = manifest.verify(options.image)
        print(f"{options.image}: {content['arch']} image {content['version']} is whole")


if __name__ == "__main__":
    raise SystemExit(main())
