"""The flow, in reading order: manifest, importer, steps, station, claim_codes, confirmer, scheduler."""
