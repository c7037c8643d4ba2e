"""One file a view. A view knows the store and the texts, never a link, never another view.

`problem` and `empty` are parts that views are made of; the `container_*` modules belong to `containers`, `log_text` to
`logs`.
"""
