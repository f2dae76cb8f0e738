"""Which network an adapter is on: switcher (the seam), backends (by name), one file per back end."""
