"""The users of a project that keeps its own user model, for the benchmark of `ClerkAccount`."""
