"""The figures of the product, beside what people would use instead. Run it with `make bench`."""
