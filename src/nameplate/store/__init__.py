"""The run directory and everything that is kept: files, locks, manifest, tables, images, journals."""
