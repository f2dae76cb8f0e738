"""The simulated factory: cloud, Photons and radio as hard as the facts say reality is."""
