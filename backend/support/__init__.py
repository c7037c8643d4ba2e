"""The support bundle: what somebody needs who is to find out what is wrong, without what must not leave the computer.

redact.py    what is removed, by its key, its place or its look: pure
gather.py    what goes in: logs, facts, settings, with a word on what could not be had
bundle.py    the archive
"""
