"""The explanation methods: one file each, one entry each in the catalogue."""
