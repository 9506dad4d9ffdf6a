"""`python -m docsite`: build the site into `byok/_site`, from which `byok web` and the wheel take it."""

import sys
import time

from docsite.build import SITE, BuildError, build

began = time.monotonic()
try:
    pages = build()
except BuildError as error:
    sys.stderr.write(f"{error}\n")
    sys.exit(1)
sys.stderr.write(f"{SITE}: {pages} pages in {time.monotonic() - began:.1f} s\n")
