"""``python -m ecif.cli``."""

from ecif.cli import main

if __name__ == "__main__":
    main()
