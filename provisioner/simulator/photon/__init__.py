"""The simulated Photon: what it is and remembers, its commands, and its two wire protocols, byte for byte."""
