"""Use cases: load, decide, write, done. The only writers of SQL; never commit; the clock comes as an argument."""
