"""`python -m docsite`: builds the site into `byok/_site`, which `byok web` serves and the wheel contains."""

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
