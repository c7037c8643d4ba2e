"""The support bundle, an archive of logs and settings without secrets, and the manual's text.

redact.py    removes secrets from text and JSON, by key, place or form; does no I/O
gather.py    collects logs, facts and settings
bundle.py    writes the archive
manual.py    the manual's topics
"""
