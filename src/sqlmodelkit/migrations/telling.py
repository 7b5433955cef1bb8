"""What a migration's own text says, and its statements do not: other types, dropped columns.

Start at `Told.by`.
"""

import ast
import re
from dataclasses import dataclass, field
from pathlib import Path

from .rules import MY, PG

_LENGTH = re.compile(r"(?:String|VARCHAR|Unicode)\((?:length=)?(\d+)?\)|\bText\(\)|\bTEXT\(\)")
_ENUM = re.compile(r"\b(?:Enum|ENUM)\((.*)\)$", re.DOTALL)
_MYSQL_SHORT = 63


@dataclass(frozen=True, slots=True)
class Told:
    """What a migration says of columns.

    Attributes:
        types: Columns with another type, and whether that rewrites the table.
        nulls: Columns that are changed, and whether they must not be null any more.
        dropped: Columns that go away.
    """

    types: dict[str, bool] = field(default_factory=dict)
    nulls: dict[str, bool] = field(default_factory=dict)
    dropped: list[str] = field(default_factory=list)

    @classmethod
    def by(cls, path: Path, dialect: str) -> "Told":
        """Read a migration."""
        told = cls()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name == "upgrade":
                for call in ast.walk(node):
                    if isinstance(call, ast.Call):
                        told.hear(call, dialect)
        return told

    def hear(self, call: ast.Call, dialect: str) -> None:
        """Note what a call says."""
        name = getattr(call.func, "attr", getattr(call.func, "id", ""))
        words = [a.value for a in call.args if isinstance(a, ast.Constant)]
        if name == "drop_column" and words:
            self.dropped.append(str(words[-1]))
        given = {each.arg: ast.unparse(each.value) for each in call.keywords}
        if name == "ChangeEnum" and len(call.args) > 1:
            for column in re.findall(r"[\w.]+", ast.unparse(call.args[1])):
                self._change(column.rpartition(".")[2], given, not _only_appended(**_two(given)))
        if name not in ("alter_column", "ChangeType") or not words:
            return
        new = ast.unparse(call.args[2]) if name == "ChangeType" else given.get("type_")
        old = given.get("existing_type", "")
        rewrites = None if new is None else not _only_longer(old, new, dialect)
        self._change(str(words[-1]), given, rewrites)

    def _change(self, column: str, given: dict[str | None, str], rewrites: bool | None) -> None:
        self.nulls[column] = self.nulls.get(column, False) or given.get("nullable") == "False"
        if rewrites is not None:
            self.types[column] = rewrites


def _two(given: dict[str | None, str]) -> dict[str, list[str]]:
    return {name: _texts(given.get(name, "")) for name in ("old", "new")}


def _texts(source: str) -> list[str]:
    """Return the texts of a list or call, without those that are named arguments."""
    return re.findall(r"(?<!=)'([^']*)'", source)


def _only_appended(old: list[str], new: list[str]) -> bool:
    return bool(old) and new[: len(old)] == old


def _only_longer(old: str, new: str, dialect: str) -> bool:
    """Tell whether an engine only notes another type, and touches no row."""
    enums = _ENUM.search(old), _ENUM.search(new)
    if enums[0] and enums[1]:
        return _only_appended(_texts(enums[0][1]), _texts(enums[1][1]))
    before, after = _LENGTH.search(old), _LENGTH.search(new)
    if before is None or after is None or before[1] is None:
        return False
    if after[1] is None:
        return dialect == PG
    grows = int(before[1]) <= int(after[1])
    same_bytes = (int(before[1]) > _MYSQL_SHORT) == (int(after[1]) > _MYSQL_SHORT)
    return grows and (dialect != MY or same_bytes)
