"""Reads a blueprint, the YAML file that says what an environment is made of."""

from pathlib import Path
from typing import Final

import yaml
from pydantic import ValidationError

from byok.domain.blueprint import Blueprint

DEFAULT_PATH: Final = Path(__file__).with_name("default.yaml")


def load_blueprint(path: Path | None) -> Blueprint:
    """Read and check a blueprint.

    Args:
        path: The file; None takes the one that comes with the product.

    Raises:
        ValueError: It cannot be read, is no YAML, or does not fit; the message names the file and the field.
    """
    path = path or DEFAULT_PATH
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"The blueprint {path} cannot be read: {error.strerror}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"The blueprint {path} is not YAML: {error}") from error
    try:
        return Blueprint.model_validate(content)
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, fault['loc'])) or 'the file'}: {fault['msg']}"
            for fault in error.errors(include_url=False, include_input=False)
        )
        raise ValueError(f"The blueprint {path} does not fit: {faults}") from error
