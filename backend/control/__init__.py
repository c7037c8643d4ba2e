"""Both sides of the control channel: the socket on which a client (window, command line) talks to the agent.

messages/   every request with the type of its reply
protocol    encodes and decodes messages as lines of JSON
lines       splits received bytes into lines
server      the agent's side
client      a blocking client
launch      finds the running agent, or starts one
"""
