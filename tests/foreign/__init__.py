"""Projects that have users of their own, as teams have them, and the tests that run inside each of them."""
