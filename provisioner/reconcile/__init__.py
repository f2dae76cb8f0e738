"""The night: what manifests, journals and the cloud say of each device, in one closed set of classes.

The way of it: `lists` and `index` fold files into one sqlite file, `reconciler` merges that with the product's list in
order of device ID, `classes` puts every device into exactly one class, `repair` mends what is safe, `discipline`
bounds it all.
"""
