"""The virtual network: the shipped clients' own sockets in memory, in virtual time, at trio's public socket seam."""
