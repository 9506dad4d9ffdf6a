"""Runs the command line with `python -m byok`.

In the container image, for example, byok is not installed as a package, so the program `byok` does not exist.
"""

from byok.cli.app import main

if __name__ == "__main__":
    main()
