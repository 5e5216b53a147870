"""Field types of the scenario file: text with a unit outside, SI numbers inside."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated, Any, TypeVar, cast

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    ModelWrapValidatorHandler,
    PlainValidator,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

from simulator import units
from simulator.distributions import Duration, Family
from simulator.errors import InputError
from simulator.units import Rate

NUMBER = r"^\s*[+]?[0-9][0-9_,.]*([eE][+-]?[0-9]+)?\s*"

EXAMPLES: dict[str, tuple[str, ...]] = {
    **{kind: rules.examples for kind, rules in units.KINDS.items()},
    "rate": ("3.79 / 1000 node-days", "19.7 / 1e6 GPU-hours"),
    "mtbf": ("42 days per node",),
}
"""What a value of each kind looks like; shown in errors and in the JSON Schema."""


def refusal(
    problem: str, found: object = None, allowed: str | None = None, nearest: str | None = None
) -> PydanticCustomError:
    """Return an error that pydantic places at the key being validated.

    Its context carries the parts of an ``InputError`` (problem, found, allowed, nearest), from which the loader
    builds the message with file, line and key.
    """
    context: dict[str, Any] = {"problem": problem, "found": None if found is None else str(found)}
    context |= {"allowed": allowed, "nearest": nearest}
    text = str(InputError(problem, found=context["found"], allowed=allowed, nearest=nearest))
    # Braces in what the user wrote must not be read as fields of the message template.
    return PydanticCustomError("input", cast(Any, text.replace("{", "(").replace("}", ")")), context)


_Read = TypeVar("_Read")


def _placed(read: Callable[[], _Read]) -> _Read:
    """Return what a reader of ``units`` returns; its error becomes one that pydantic places at the key."""
    try:
        return read()
    except InputError as error:
        raise refusal(error.problem, error.found, error.allowed, error.nearest) from error


def read_quantity(value: Any, kind: str) -> float:
    """Return the SI value of a text such as "54 days", while a scenario is being validated."""
    return _placed(lambda: units.parse(value, kind))


def _reader(kind: str, positive: bool = False) -> Callable[[Any], float]:
    def read(value: Any) -> float:
        number = read_quantity(value, kind)
        if positive and number == 0.0:
            raise refusal(f"a {kind} of zero", repr(value), f'more than zero, such as "{EXAMPLES[kind][0]}"')
        return number

    return read


def _rate(value: Any) -> Rate:
    return _placed(lambda: units.parse_rate(value))


def _mtbf(value: Any) -> Rate:
    return _placed(lambda: units.parse_mtbf(value))


def text_schema(kind: str) -> dict[str, Any]:
    """Return the JSON Schema of a text that holds a quantity of this kind."""
    return {"type": "string", "pattern": NUMBER + r".+$", "examples": list(EXAMPLES[kind])}


_FRACTION_SCHEMA = {
    "anyOf": [
        {"type": "number", "minimum": 0, "maximum": 1},
        {"type": "string", "pattern": NUMBER + "%$", "examples": ["97 %"]},
    ]
}


Seconds = Annotated[float, PlainValidator(_reader("duration")), WithJsonSchema(text_schema("duration"))]
"""A duration, zero or more, seconds inside."""

PositiveSeconds = Annotated[float, PlainValidator(_reader("duration", True)), WithJsonSchema(text_schema("duration"))]
"""A duration greater than zero, seconds inside."""

Bandwidth = Annotated[float, PlainValidator(_reader("bandwidth", True)), WithJsonSchema(text_schema("bandwidth"))]
"""A bandwidth above zero, bytes/s inside."""

DataSize = Annotated[float, PlainValidator(_reader("size", True)), WithJsonSchema(text_schema("size"))]
"""An amount of data above zero, bytes inside."""

FlopRate = Annotated[float, PlainValidator(_reader("flop_rate", True)), WithJsonSchema(text_schema("flop_rate"))]
"""A speed of computation above zero, FLOP/s inside."""

Price = Annotated[float, PlainValidator(_reader("money_rate")), WithJsonSchema(text_schema("money_rate"))]
"""A price of GPU time, USD per GPU-second inside."""

Money = Annotated[float, PlainValidator(_reader("money")), WithJsonSchema(text_schema("money"))]
"""An amount of money, USD inside."""

Power = Annotated[float, PlainValidator(_reader("power")), WithJsonSchema(text_schema("power"))]
"""A power, watts inside."""

Fraction = Annotated[float, PlainValidator(_reader("fraction")), WithJsonSchema(_FRACTION_SCHEMA)]
"""A fraction between 0 and 1."""

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.+-]*$", max_length=80)]
"""A name the user chooses: letters, digits and ``_ . + -``."""


RateField = Annotated[Rate, PlainValidator(_rate), WithJsonSchema(text_schema("rate"))]
"""Events per member and time of a population."""

MtbfField = Annotated[Rate, PlainValidator(_mtbf), WithJsonSchema(text_schema("mtbf"))]
"""Mean time between events of one member of a population."""


_S = TypeVar("_S", bound="Section")


class Section(BaseModel):
    """A mapping of the scenario file: unknown keys are errors, values keep their type, nothing changes later."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)


class DurationSpec(Section):
    """A duration: "10 s" for a fixed one, or a mapping for a random one."""

    family: Family = "fixed"
    """Shape of the distribution."""
    mean: Seconds
    """Mean."""
    cv: Annotated[float, Field(gt=0, le=100)] | None = None
    """Standard deviation divided by the mean, for lognormal, gamma and uniform."""
    median: PositiveSeconds | None = None
    """Median, instead of cv, for lognormal only."""

    @model_validator(mode="wrap")
    @classmethod
    def _from_text(cls, value: Any, handler: ModelWrapValidatorHandler[DurationSpec]) -> DurationSpec:
        if isinstance(value, dict):
            return handler(value)._checked()
        return cls.model_construct(family="fixed", mean=read_quantity(value, "duration"), cv=None, median=None)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Allow text besides the mapping."""
        return {"anyOf": [text_schema("duration"), handler(schema)]}

    def _checked(self) -> DurationSpec:
        if self.family in ("fixed", "exponential"):
            if self.cv is not None or self.median is not None:
                raise refusal(f"a duration of family {self.family} takes neither cv nor median")
            return self
        if self.median is not None and self.family != "lognormal":
            raise refusal("median is for family lognormal only", allowed="cv: 0.5")
        if (self.cv is None) == (self.median is None):
            raise refusal(
                f"a duration of family {self.family} needs a spread",
                allowed="cv: 0.5, or median for lognormal",
            )
        if self.median is not None and not self.median < self.mean:
            raise refusal("the median of a lognormal is less than its mean")
        if self.family == "uniform" and self.spread > 1.0 / math.sqrt(3.0) + 1e-9:
            raise refusal("a uniform duration with this cv would go below zero", self.cv, "cv up to 0.5773")
        return self

    @property
    def spread(self) -> float:
        """Coefficient of variation.

        Notes
        -----
        A lognormal with mean m and median d has sigma^2 = 2 ln(m / d) and cv^2 = exp(sigma^2) - 1.
        """
        if self.median is not None:
            return math.sqrt((self.mean / self.median) ** 2 - 1.0)
        return {"fixed": 0.0, "exponential": 1.0}.get(self.family, self.cv or 0.0)

    def duration(self) -> Duration:
        """Return the random variable."""
        return Duration(self.family, self.mean, self.spread)


def merged(base: _S, changes: _S | None) -> _S:
    """Return ``base`` with the keys that ``changes`` sets; nested mappings are merged, durations replaced."""
    if changes is None:
        return base
    update: dict[str, Any] = {}
    for key in changes.model_fields_set:
        new, old = getattr(changes, key), getattr(base, key)
        nested = isinstance(new, Section) and isinstance(old, type(new)) and not isinstance(new, DurationSpec)
        update[key] = merged(old, new) if nested else new
    return base.model_copy(update=update)
