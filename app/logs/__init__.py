"""Logs of any set of containers: read, merged by time, kept on disk, searched, saved. Shown by `app.views.logs`.

feed     threads that read the engine's answers                      -> records
merge    several containers' records into one order, by their times
buffer   where each line is, by its number; the bytes are in `spill`, on disk
lines    what one record looks like: clean text, colours, level      <- only for lines that are shown or searched
"""
