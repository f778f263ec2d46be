"""Reading what a study is configured by: YAML and JSON schemas, with one sentence per mistake."""

import difflib
import math
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from foundationless.errors import UserError
from foundationless.study.vocabulary import MARGINS

SCHEMAS = Path(__file__).parent / "schemas"


def read_schema(name: str) -> dict[str, Any]:
    """JSON schema of `config`, `models`, `tasks`, `datasets` or `verdict`."""
    return dict(read_yaml(SCHEMAS / f"{name}.schema.yaml"))


def read_yaml(path: str | Path) -> Any:
    """A YAML file's value; a missing or broken file is a `UserError`."""
    import yaml

    try:
        return yaml.safe_load(Path(path).read_text())
    except FileNotFoundError:
        raise UserError(f"{path}: no such file.") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}).") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not valid YAML ({' '.join(str(error).split())[:200]}).") from None


def read_margins(statistics: Mapping[str, Any]) -> dict[str, float]:
    """Metric -> equivalence margin, from the section `statistics` of a config.

    `margins` says it metric by metric; the rest have that of `vocabulary.METRICS`, or the one number `margin` of older
    configs.
    """
    base = {name: float(statistics.get("margin", value)) for name, value in MARGINS.items()}
    return base | {name: float(given["margin"]) for name, given in statistics.get("margins", {}).items()}


def yaml_text(value: Any) -> str:
    """A value as YAML in the order of its keys, the innermost tables on one line each."""
    import yaml

    return yaml.safe_dump(value, sort_keys=False, default_flow_style=None, width=120, allow_unicode=True)


def check_schema(value: Any, schema: Mapping[str, Any], where: str) -> None:
    """Check against a JSON schema; the most telling violation becomes one `UserError` sentence with its path."""
    from jsonschema.exceptions import best_match

    for place, key, inner in _inside(value):
        if not isinstance(key, str):  # YAML reads `1:` as a number, `no:` as a truth value
            raise UserError(f"{where}, {place}: this key is not text; put it in quotes or correct it.")
        if isinstance(inner, float) and not math.isfinite(inner):  # no bound of a JSON schema refuses it
            raise UserError(f"{where}, {place}: not a finite number.")
    error = best_match(_validator()(schema).iter_errors(value))
    if error is None:
        return
    place = ".".join(str(part) for part in error.absolute_path) or "top level"
    message = error.message
    if error.validator == "additionalProperties":
        known = error.schema.get("properties", {})
        extra = sorted(set(error.instance) - set(known))
        message = unknown("key", extra[0], known)
    if error.validator in ("oneOf", "anyOf") and "required" in error.validator_value[0]:
        choices = " or ".join(" with ".join(choice["required"]) for choice in error.validator_value)
        message = f"give either {choices}."
    raise UserError(f"{where}, {place}: {message.splitlines()[0][:300]}")


def _validator() -> Any:
    """JSON schema as it is meant for paths and flags: 1.0 is no whole number, and no name ends in a line break."""
    from jsonschema import Draft202012Validator, ValidationError
    from jsonschema.validators import extend

    def pattern(validator: Any, wanted: str, instance: Any, schema: Any) -> Any:
        if validator.is_type(instance, "string") and (instance.endswith("\n") or not re.search(wanted, instance)):
            yield ValidationError(f"{instance!r} does not match {wanted!r}")

    def whole(checker: Any, instance: Any) -> bool:
        return isinstance(instance, int) and not isinstance(instance, bool)

    types = Draft202012Validator.TYPE_CHECKER.redefine("integer", whole)
    return extend(Draft202012Validator, {"pattern": pattern}, type_checker=types)


def _inside(value: Any, above: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Dotted place, key and value of everything in a mapping or a list; of a list the keys are its numbers, as text."""
    known = {str(number): item for number, item in enumerate(value)} if isinstance(value, list) else value
    for key, inner in known.items() if isinstance(known, Mapping) else ():
        yield f"{above}{key}", key, inner
        yield from _inside(inner, f"{above}{key}.")


def unknown(kind: str, name: str, known: Collection[str]) -> str:
    """The sentence for a name that is not known, with the nearest that is."""
    near = difflib.get_close_matches(name, list(known), n=1)
    hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(list(known)[:12])}."
    return f"unknown {kind} '{name}'; {hint}"
