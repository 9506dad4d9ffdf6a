#!/usr/bin/env bash
# Finding: with --require-hashes, pip accepts a constraints file that contains a version range; uv rejects it.
#
# Versions: uv 0.13.9; the pip bundled with Python (here 23.2.1). Observed on 2026-11-28, Python 3.11, Linux x86_64.
# Input: a requirement with a pinned version and a hash, and a constraint on another package that is not installed.
# pip:  installs the requirement.
# uv:   error: In `--require-hashes` mode, all requirements must have their versions pinned with `==`, but found: …
#
# Affected: users who replace pip with uv and whose company's pip.conf sets constraints (PIP_CONSTRAINT → UV_CONSTRAINT).
# Exits with 0 while both tools behave this way, and with 1 once one of them changes.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv tools
tools/bin/pip install --quiet --disable-pip-version-check uv==0.13.9 2> /dev/null
printf 'idna==3.20 %s\n' '--hash=sha256:a7db850025b95ded1eae8a46181a1a6c56c92c96f0e2b005d9ff8dc0210cab44 --hash=sha256:ab7ae7122974553370f0bdb919e1a960b2cd1bc1ef0276416d896db81c14582c' > requirements.txt
echo 'urllib3<3' > constraints.txt

python3 -m venv by-pip
by-pip/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt -c constraints.txt 2> /dev/null
by-pip/bin/python -c 'import idna; print("pip installed idna", idna.__version__)'

python3 -m venv by-uv
if tools/bin/uv pip install --python by-uv/bin/python --require-hashes -r requirements.txt -c constraints.txt > said.txt 2>&1; then
  echo 'uv installed the requirement: its behaviour has changed'
  exit 1
fi
grep 'all requirements must have their versions pinned with `==`' said.txt
