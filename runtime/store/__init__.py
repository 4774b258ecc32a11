"""Object stores: where bundles, inputs and outputs may be, beside the disks of this machine."""
