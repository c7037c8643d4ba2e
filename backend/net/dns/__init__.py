"""Names for containers: a resolver in the agent that finds what this computer finds, for the guest's forwarder to ask.

QEMU's own resolver hands queries to one server of the host and knows neither its search domains nor what a VPN, mDNS
or the hosts file add. So addresses are looked up here by the system's own resolver, and the rest is forwarded.
"""
