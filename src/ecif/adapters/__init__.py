"""The edges towards other systems: feeds in, events out."""
