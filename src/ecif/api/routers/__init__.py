"""One module a noun: a signature and one call each."""
