"""The kernels of a batch."""
