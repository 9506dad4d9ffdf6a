"""Load blueprints from files: the packaged blueprint is valid, and an error contains the file and the field."""

from pathlib import Path

import pytest

from byok.blueprints import DEFAULT_PATH, load_blueprint


def test_default_blueprint_has_several_buckets_and_initial_objects_for_each_service() -> None:  # contract 94, 95
    blueprint = load_blueprint(None)
    assert len(blueprint.buckets) >= 2
    assert all(bucket.objects for bucket in blueprint.buckets if bucket.purpose in {"catalog", "quality"})
    assert blueprint == load_blueprint(DEFAULT_PATH)


def test_blueprint_file_is_loaded(tmp_path: Path) -> None:
    file = tmp_path / "blueprint.yaml"
    file.write_text("version: 1\nbuckets: [{purpose: data, objects: [{key: a.json, content: '{}'}]}]\n")
    assert [bucket.purpose for bucket in load_blueprint(file).buckets] == ["data"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("version: 2\nbuckets: [{purpose: data, objects: [{key: a, content: b}]}]", "version: "),
        ("buckets: []", "buckets: "),
        ("buckets: [{purpose: data}]", "no bucket has an initial object"),
        ("buckets: [{purpose: UPPER, objects: [{key: a, content: b}]}]", r"buckets\.0\.purpose: "),
        ("bukets: []", "bukets: Extra inputs are not permitted"),
        ("buckets: [{purpose: data, objects: [{key: a}]}]", r"buckets\.0\.objects\.0\.content: Field required"),
        ("", "the file: "),
        ("[1, 2]", "the file: "),
    ],
)
def test_invalid_field_is_named_with_its_file(tmp_path: Path, content: str, said: str) -> None:
    file = tmp_path / "blueprint.yaml"
    file.write_text(content)
    with pytest.raises(ValueError, match=rf"blueprint\.yaml is invalid: .*{said}"):
        load_blueprint(file)


def test_invalid_yaml_is_refused_with_its_file(tmp_path: Path) -> None:
    file = tmp_path / "blueprint.yaml"
    file.write_text("buckets: [")
    with pytest.raises(ValueError, match=r"blueprint\.yaml is not YAML"):
        load_blueprint(file)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"Cannot read the blueprint .*nowhere\.yaml: No such file"):
        load_blueprint(tmp_path / "nowhere.yaml")


def test_yaml_that_creates_objects_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "blueprint.yaml"
    file.write_text("buckets: !!python/object/apply:os.getcwd []")
    with pytest.raises(ValueError, match="is not YAML"):
        load_blueprint(file)
