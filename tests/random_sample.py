"""Draw a random sample for review: `python -m tests.random_sample names|sentences|mix|mix-key [COUNT]`.

A reviewer who has not seen the code says what each name seems to stand for, or whether a native speaker would write
each sentence. The id of the current commit seeds the draw. All reviewers of a commit therefore get the same sample, and
the author cannot draw again to get a better result.

`mix` adds sentences from the documentation of AWS and Temporal, without their sources, so that a strict reviewer judges
all three alike (docs/decisions/0051). `mix-key` prints the source of each sentence of the mix.
"""

import ast
import random
import subprocess
import sys
from collections.abc import Iterator
from typing import Final

from tests.reference_sentences import list_aws_sentences, list_temporal_sentences
from tests.sentences import ROOT, list_sentences, list_text_files

PACKAGES: Final = ("byok/", "activities/", "workflows/", "localaws/", "worker.py", "bench/", "tests/")
DEFAULT_COUNTS: Final = {"names": 40, "sentences": 100, "mix": 300, "mix-key": 300}
_MIX: Final = {"byok": 0.6, "AWS": 0.25, "Temporal": 0.15}
"""The share of each source."""
_DEFINITIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def list_names(source: str, module: str) -> Iterator[str]:
    """Yield the dotted path of every public class, function, method and constant of a module.

    Three kinds are omitted: special methods; tests, whose names are sentences; and private names, which a reader sees
    only together with the rest of the module.
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


def draw_mix(count: int, seed: str) -> list[tuple[str, str]]:
    """Draw sentences from the three sources, and return each sentence with its source, in random order."""
    rng = random.Random(seed)
    own = [sentence for file in list_text_files() for sentence in list_sentences(file)]
    sources = {"byok": sorted(set(own)), "AWS": list_aws_sentences(), "Temporal": list_temporal_sentences()}
    drawn = [
        (source, sentence)
        for source, share in _MIX.items()
        for sentence in rng.sample(sources[source], round(count * share))
    ]
    rng.shuffle(drawn)
    return drawn


def main() -> None:
    """Print the sample in the order in which it was drawn."""
    kind = sys.argv[1]
    count = int(sys.argv[2]) if len(sys.argv) > 2 else DEFAULT_COUNTS[kind]
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    seed, files = commit.strip(), list_text_files()
    if kind in {"mix", "mix-key"}:
        lines = [source if kind == "mix-key" else sentence for source, sentence in draw_mix(count, seed)]
        sys.stdout.write("\n".join(f"{number}\t{line}" for number, line in enumerate(lines, 1)) + "\n")
        return
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
    drawn = random.Random(seed).sample(sorted(found), count)
    sys.stdout.write("\n".join([f"{count} of {len(found)} {kind} at {seed}", *drawn, ""]))


if __name__ == "__main__":
    main()
