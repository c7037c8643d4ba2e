"""The agent's DNS server, which resolves names for containers as this computer does.

QEMU's own resolver forwards queries to one server of the host, and ignores search domains, VPNs, mDNS and the hosts
file. So addresses are looked up here by the system's resolver, and all other queries are forwarded.
"""
