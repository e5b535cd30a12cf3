"""`python -m nameplate` is the same as `nameplate`."""

from nameplate.cli import main

if __name__ == "__main__":
    main()
