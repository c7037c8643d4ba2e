"""The views of logs: the pane that shows one log, and the page where its containers are chosen."""
