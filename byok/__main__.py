"""`python -m byok`: the command line, for places where byok is not installed as a package, such as the container."""

from byok.cli.app import main

if __name__ == "__main__":
    main()
