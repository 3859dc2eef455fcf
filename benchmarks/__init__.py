"""Measure the product and its alternatives. Run it with `make bench`."""
