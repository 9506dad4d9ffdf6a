"""Draw names or sentences for a reading: `python -m tests.random_sample names|sentences [COUNT]`.

A reader who has not seen the code says what each name does, or whether a sentence reads as a native speaker would write
it. The id of the commit that is checked out seeds the draw: it cannot be repeated until the result looks good, and all
readers of a commit get the same sample.
"""

import ast
import random
import subprocess
import sys
from collections.abc import Iterator
from typing import Final

from tests.sentences import ROOT, list_sentences, list_text_files

PACKAGES: Final = ("byok/", "activities/", "workflows/", "localaws/", "worker.py", "bench/", "tests/")
DEFAULT_COUNTS: Final = {"names": 40, "sentences": 100}
_DEFINITIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def list_names(source: str, module: str) -> Iterator[str]:
    """Yield every public class, function, method and constant of a module, as a dotted path.

    Three kinds are left out: special methods, tests (their names are sentences) and private names, which a reader sees
    only with the module open.
    """
    nodes: list[tuple[str, ast.AST]] = [(module, ast.parse(source))]
    while nodes:
        path, node = nodes.pop()
        for child in ast.iter_child_nodes(node):
            if isinstance(child, _DEFINITIONS) and not child.name.startswith(("_", "test_")):
                yield f"{path}.{child.name}"
                if isinstance(child, ast.ClassDef):
                    nodes.append((f"{path}.{child.name}", child))
            elif isinstance(child, ast.AnnAssign) and isinstance(child.target, ast.Name):
                constant = child.target.id
                if constant.isupper() and not constant.startswith("_"):
                    yield f"{path}.{constant}"


def main() -> None:
    """Print the sample in the order in which it was drawn."""
    kind = sys.argv[1]
    count = int(sys.argv[2]) if len(sys.argv) > 2 else DEFAULT_COUNTS[kind]
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    files = list_text_files()
    if kind == "names":
        found = [
            name
            for file in files
            if file.startswith(PACKAGES) and file.endswith(".py")
            for name in list_names(
                (ROOT / file).read_text(encoding="utf-8"), file.removesuffix(".py").replace("/", ".")
            )
        ]
    else:
        found = [f"{file}: {sentence}" for file in files for sentence in list_sentences(file)]
    drawn = random.Random(commit.strip()).sample(sorted(found), count)
    sys.stdout.write("\n".join([f"{count} of {len(found)} {kind} at {commit.strip()}", *drawn, ""]))


if __name__ == "__main__":
    main()
