"""The form of the JSON files: a class for each, of which its writer makes one and every reader gets one.

pydantic checks types, strictly: a text is no number and a truth value no integer. Keys that a class does not name are
kept, so that a file of a newer version can be read.
"""

from __future__ import annotations

import reprlib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, PlainSerializer, ValidationError, WrapValidator

from bireal_hw.errors import BirealError
from bireal_hw.files import read_json, write_json


def _as_it_came(value: Any, check: Callable[[Any], float]) -> Any:
    check(value)
    return value


Number = Annotated[float, WrapValidator(_as_it_came), PlainSerializer(lambda value: value)]
"""A number that is written as it came: 4 stays 4, and does not become 4.0."""


class Schema(BaseModel):
    """What a JSON object holds; it does not change once it is made."""

    model_config = ConfigDict(frozen=True, strict=True, extra="allow")

    @property
    def values(self) -> dict[str, Any]:
        """What was said when it was made, by name, as it is."""
        known = {name: getattr(self, name) for name in type(self).model_fields if name in self.model_fields_set}
        return known | (self.model_extra or {})

    def plain(self) -> dict[str, Any]:
        """Return it as JSON values, without what was not said when it was made."""
        return self.model_dump(mode="json", exclude_unset=True)


Form = TypeVar("Form", bound=Schema)
_WORDS = {
    "int": "a whole number",
    "float": "a number",
    "string": "text",
    "bool": "true or false",
    "list": "a list",
    "tuple": "a list",
    "dict": "an object",
    "model": "an object",
    "dataclass": "an object",
}
"""What a value should have been, by the first word of pydantic's type of error."""


def read(path: Path, form: type[Form]) -> Form:
    """Read a JSON file.

    Raises:
        BirealError: it cannot be read, or a value is of the wrong kind: its name, the value, what it should be.
    """
    read_json(path)
    try:
        return form.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise BirealError(f"{path}: {_problem(error)}; remove it to make it again") from None


def write(path: Path, content: Schema) -> None:
    """Write a JSON file, which appears whole or not at all."""
    write_json(path, content.plain())


def _problem(error: ValidationError) -> str:
    """Say in a few words what was wrong first."""
    first = error.errors(include_url=False)[0]
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"]).removeprefix(".")
    if first["type"] == "missing":
        return f"'{where}' is missing"
    kind = _WORDS.get(first["type"].partition("_")[0], first["msg"])
    return f"'{where}' is {reprlib.repr(first['input'])}, not {kind}"
