"""The site of the proofs as a project with users of its own."""
