"""A whole factory on this computer: the simulated cloud, air and Photons, and the real `run` over them.

Read it in this order:

files      what a person would have written: manifest, the vendor's lists, settings
loopback   the factory in real time, on loopback sockets, twelve times as fast as reality
virtual    the factory in virtual time, on the virtual network: a shift in seconds
truth      at the end: is what the journal says true, and what became of what was injected
run        `provisioner demo`
simulate   `provisioner simulate`: the same factory for other people's clients

Nothing on the line knows of the simulator; this package is the only one that imports it.
"""
