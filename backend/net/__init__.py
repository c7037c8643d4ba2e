"""Networking between containers and the outside: published ports, DNS, proxies, certificates, choice of subnets."""
