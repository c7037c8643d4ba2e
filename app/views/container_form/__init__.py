"""The form that a container is made from, or made anew."""
