"""What keeps the docker endpoint in the user's session, whether or not the agent runs."""
