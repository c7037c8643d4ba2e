"""The guest image: what is in it (``image.toml`` and ``overlay/``) and how it is built.

Stands alone: imports neither the app nor the backend, needs only the standard library and Debian's ``mmdebstrap``,
``mkfs.erofs`` and ``zstd``.  Nothing of the guest is ever run on the host, so any architecture builds on any other,
and no step needs root.
"""
