"""One container's page: its header, its tabs, and what is under way for it."""
