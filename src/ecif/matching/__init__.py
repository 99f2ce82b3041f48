"""Whether two source records are one party: pure decisions over flat features. No SQL, no clock, no settings.

One record's way: :mod:`features` → :mod:`keys` → (candidates) → :mod:`comparators` → :mod:`rules` → :mod:`clustering`.
"""
