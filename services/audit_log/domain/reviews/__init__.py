"""Which outputs a person must look at, what counts as having done so, and what is missing. Pure."""
