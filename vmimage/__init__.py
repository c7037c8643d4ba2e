"""The guest image: its content (``image.toml`` and ``overlay/``) and its builder.

Independent: imports neither the app nor the backend, and needs only the standard library and Debian's ``mmdebstrap``,
``mkfs.erofs`` and ``zstd``. No code of the guest runs on the host, so any architecture can build for any other, and no
step needs root.
"""
