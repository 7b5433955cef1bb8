"""How PostgreSQL, SQLite, MySQL and MariaDB print values as JSON. Start at `TEXTS`."""

from collections.abc import Callable, Sequence
from datetime import time
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    DateTime,
    Double,
    Select,
    String,
    Text,
    and_,
    case,
    cast,
    func,
    literal_column,
    not_,
    type_coerce,
)

from .texts import SQL, GatheringTexts, Part, Texts


def _within(value: SQL, least: str, greatest: str, text: SQL) -> SQL:
    return case((value.between(literal_column(least), literal_column(greatest)), text))


class PostgreSQL(GatheringTexts):
    """PostgreSQL, whose types are exact, but for infinity and years beyond 9999."""

    oldest = (12,)
    _uuid_is_text = False

    def _literal(self, text: str) -> str:
        quoted = text.replace("'", "''")
        if "\\" in quoted or "%" in quoted:
            return "E'" + quoted.replace("\\", "\\\\").replace("%", "\\x25") + "'"
        return f"'{quoted}'"

    def boolean(self, value: SQL) -> SQL:
        return case((value, self.literal("true")), (not_(value), self.literal("false")))

    def quoted(self, value: SQL) -> SQL:
        return cast(func.to_json(value), Text)

    def integer(self, value: SQL) -> SQL:
        return cast(value, Text)

    def number(self, value: SQL) -> SQL:
        # Within these bounds nobody prints an exponent, and both print the fewest digits that
        # give the number back; a server that is set to print fewer is found out.
        exact = cast(value, Double)
        text = cast(exact, Text)
        plain = func.abs(exact).between(literal_column("0.0001"), literal_column("999999999999999"))
        zero = exact == literal_column("0")
        whole = case((exact == func.trunc(exact), self.literal(".0")), else_=self.literal(""))
        return case((and_(plain | zero, cast(text, Double) == exact), text.concat(whole)))

    def uuid(self, value: SQL) -> SQL:
        return cast(value, Text)

    def date(self, value: SQL) -> SQL:
        text = func.to_char(value, literal_column("'YYYY-MM-DD'"))
        return _within(value, "DATE '0001-01-01'", "DATE '9999-12-31'", text)

    def naive(self, value: SQL) -> SQL:
        text = func.to_char(value, literal_column("""'YYYY-MM-DD"T"HH24:MI:SS.US'"""))
        text = func.replace(text, literal_column("'.000000'"), literal_column("''"))
        least, greatest = "'0001-01-01 00:00:00'", "'9999-12-31 23:59:59.999999'"
        return _within(value, f"TIMESTAMP {least}", f"TIMESTAMP {greatest}", text)

    def utc(self, value: SQL) -> SQL:
        return self.naive(func.timezone(literal_column("'UTC'"), value))

    def time(self, value: SQL) -> SQL:
        text = func.to_char(value, literal_column("'HH24:MI:SS.US'"))
        text = func.replace(text, literal_column("'.000000'"), literal_column("''"))
        return case((value < literal_column("TIME '24:00:00'"), text))

    def _joined(self, items: SQL) -> SQL:
        return func.string_agg(items, literal_column("','"))

    def fence(self, statement: Select[Any]) -> Select[Any]:
        return statement.offset(literal_column("0"))


_SAME_DAY: SQL = literal_column("'+0 days'")
"""A change of nothing makes SQLite say what day the 31st of February is."""

_FIRST_YEAR: SQL = literal_column("'0001-'")
"""Not '0001', which SQLite compares as a number."""


class SQLite(GatheringTexts):
    """SQLite, whose columns hold anything, so that each value is looked at."""

    oldest = (3, 38)
    _unprinted = (float, Decimal)

    def _literal(self, text: str) -> str:
        quoted = text.replace("'", "''")
        return (
            "(" + "' || char(37) || '".join(f"'{quoted}'".split("%")) + ")"
            if "%" in text
            else f"'{quoted}'"
        )

    def quoted(self, value: SQL) -> SQL:
        return self._if_typed("text", value, func.json_quote(type_coerce(value, String)))

    def integer(self, value: SQL) -> SQL:
        return self._if_typed("integer", value, type_coerce(value, String))

    def _if_typed(self, name: str, value: SQL, text: SQL) -> SQL:
        return case((func.typeof(value) == self.literal(name), text))

    def uuid(self, value: SQL) -> SQL:
        text = type_coerce(value, String)
        ends = ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
        groups = [
            func.substr(text, literal_column(str(a)), literal_column(str(n))) for a, n in ends
        ]
        parts: list[Part] = [groups[0]]
        for group in groups[1:]:
            parts += ["-", group]
        plain = text.bool_op("NOT GLOB")(self.literal("*[^0-9a-f]*"))
        return case((and_(func.length(text) == literal_column("32"), plain), self.text(parts)))

    def date(self, value: SQL) -> SQL:
        text = type_coerce(value, String)
        return case((and_(func.date(text, _SAME_DAY) == text, text >= _FIRST_YEAR), text))

    def naive(self, value: SQL) -> SQL:
        return self._moment(value, func.datetime, 19)

    def time(self, value: SQL) -> SQL:
        return self._moment(value, func.time, 8)

    def _moment(self, value: SQL, normal: Callable[[SQL, SQL], SQL], width: int) -> SQL:
        text = type_coerce(value, String)
        seconds = func.substr(text, literal_column("1"), literal_column(str(width)))
        fraction = func.substr(text, literal_column(str(width + 1)))
        none = fraction.in_([self.literal(""), self.literal(".000000")])
        six = fraction.bool_op("GLOB")(self.literal("." + "[0-9]" * 6))
        exact = normal(seconds, _SAME_DAY) == seconds
        if width > 8:
            exact = and_(exact, text >= _FIRST_YEAR)
        blank, t = self.literal(" "), self.literal("T")
        return case(
            (and_(exact, none), func.replace(seconds, blank, t)),
            (and_(exact, six), func.replace(text, blank, t)),
        )

    def _joined(self, items: SQL) -> SQL:
        return func.group_concat(items, literal_column("','"))

    def fence(self, statement: Select[Any]) -> Select[Any]:
        return statement.limit(literal_column("-1")).offset(literal_column("0"))


class MySQL(Texts):
    """MySQL, where a function that puts rows together has no order, or a limit."""

    oldest: tuple[int, ...] = (8,)
    _unprinted = (float, time)
    _characters = String()

    def _join(self, texts: Sequence[SQL]) -> SQL:
        return func.concat(*texts) if len(texts) > 1 else texts[0]

    def _literal(self, text: str) -> str:
        if any(character in text for character in "\\%"):
            return f"_utf8mb4 x'{text.encode().hex()}'"
        return "'" + text.replace("'", "''") + "'"

    def quoted(self, value: SQL) -> SQL:
        return func.json_quote(value)

    def integer(self, value: SQL) -> SQL:
        return cast(value, String)

    def uuid(self, value: SQL) -> SQL:
        # Thirty-two digits, or a type of its own that prints them with hyphens.
        dash, none = self.literal("-"), self.literal("")
        text: SQL = func.replace(func.lower(cast(value, String)), dash, none)
        for position in (9, 14, 19, 24):
            text = func.insert(text, literal_column(str(position)), literal_column("0"), dash)
        return text

    def date(self, value: SQL) -> SQL:
        return self._real(value, cast(value, String))

    def naive(self, value: SQL) -> SQL:
        text: SQL = cast(cast(value, DateTime), String)
        text = func.replace(text, self.literal(" "), self.literal("T"))
        return self._real(value, func.replace(text, self.literal(".000000"), self.literal("")))

    def _real(self, value: SQL, text: SQL) -> SQL:
        # Not 0000-00-00, nor a month or a day that is 0.
        return case((func.to_days(value) >= literal_column("366"), text))


class MariaDB(MySQL):
    """MariaDB, which escapes some control characters in capitals."""

    oldest = (10, 5)

    def quoted(self, value: SQL) -> SQL:
        text = func.json_quote(value)
        return case((func.locate(self.literal("\\u00"), text) == literal_column("0"), text))


TEXTS: dict[str, Texts] = {
    "postgresql": PostgreSQL(),
    "sqlite": SQLite(),
    "mysql": MySQL(),
    "mariadb": MariaDB(),
}
"""How to print, by the name of the database."""
