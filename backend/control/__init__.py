"""The control channel between a client (window, command line) and the agent of a machine, both sides of it.

messages/   every request with the type of its reply
protocol    messages as lines of JSON, and what the agent sends unasked
lines       bytes to lines
server      the agent's side
client      a blocking client
launch      finds the machine's agent, or starts it
"""
