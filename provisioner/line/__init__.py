"""The flow. Read it in this order:

1  manifest      YAML -> Manifest (tray, device_list, manifest_rows and manifest_shape are its parts)
2  importer      Manifest -> product membership
3  steps, proof  what a device goes through, and what proves it, as data and one pure function
4  station       find, join, leave; handover: identify, claim, configure, connect; shift: board after board
   air, lookups, claim_codes, uplink, hold: what stations share
5  confirmer     asks the cloud until a device is proven, or its time is over
6  scheduler     the one nursery; desk (the cloud, by policy), ledger and books (where every device stands),
   orders (what a person may ask of a running line)
"""
