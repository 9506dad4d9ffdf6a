"""Draw names for a reading: `python -m tests.random_sample [COUNT]`.

A reader who has not seen the code says what each name does, and looks it up only then. The id of the commit that is
checked out seeds the draw: it cannot be repeated until the names look good, and two readers of a commit get the same
names.
"""

import ast
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
SOURCE_PATHS: Final = ("byok", "activities", "workflows", "localaws", "worker.py", "bench", "tests")
DEFAULT_COUNT: Final = 40
_DEFINITIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def list_names(source: str, module: str) -> Iterator[str]:
    """Yield every public class, function, method and constant of a module, as a dotted path.

    Three kinds are left out: special methods, tests (their names are sentences) and private names, which a reader meets
    only with the module open.
    """
    nodes: list[tuple[str, ast.AST]] = [(module, ast.parse(source))]
    while nodes:
        path, node = nodes.pop()
        for child in ast.iter_child_nodes(node):
            if isinstance(child, _DEFINITIONS):
                if child.name.startswith(("_", "test_")):
                    continue
                yield f"{path}.{child.name}"
                if isinstance(child, ast.ClassDef):
                    nodes.append((f"{path}.{child.name}", child))
            elif isinstance(child, ast.AnnAssign) and isinstance(child.target, ast.Name) and child.target.id.isupper():
                if child.target.id.startswith("_"):
                    continue
                yield f"{path}.{child.target.id}"


def main() -> None:
    """Print the names in the order in which they were drawn."""
    files = subprocess.run(
        ["git", "ls-files", *SOURCE_PATHS], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    found = [
        name
        for file in files.split()
        if file.endswith(".py")
        for name in list_names((ROOT / file).read_text(encoding="utf-8"), file.removesuffix(".py").replace("/", "."))
    ]
    count = int(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_COUNT
    drawn = random.Random(commit.strip()).sample(sorted(found), count)
    sys.stdout.write("\n".join([f"{count} of {len(found)} names at {commit.strip()}", *drawn, ""]))


if __name__ == "__main__":
    main()
