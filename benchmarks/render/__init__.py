"""Benchmarks of render's 3-D kernels."""
