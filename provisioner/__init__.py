"""Trays of Particle Photons, from a YAML list to devices that the cloud has proven.

    config/manifests/*.yaml ── line.manifest ──► Manifest
                                                  │
    api.particle.io ◄── cloud ── line.importer ◄──┤   every row classified, twice is once
                          │                       ▼
                          │                 line.scheduler        the run's one nursery
                          │                  │         │
          claim codes ◄───┤     line.station ┘         └ line.confirmer ──► proven, or unknown
          owner reads ◄───┘       │    ▲                   (line.proof)
                                  ▼    │ the next board while the last one boots
                     network ── softap ── one Photon: identify, claim code, Wi-Fi, connect
                                  │
    journal ◄── every intention, act and result ──► console (records to screen)

`app` puts it together, `demo` puts the simulated factory under it, `cli` is how people call it. A module imports
only lower layers or its own package; tests/test_layers.py holds the map.
"""
