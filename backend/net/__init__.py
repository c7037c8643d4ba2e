"""What lies between containers and the world: published ports, names, proxies, certificates, the choice of subnets."""
