"""What is not a model: enumerations, and tables without a key."""

import keyword
import re

from sqlalchemy import Table

from .arguments import arguments_of
from .fields import Imports
from .names import free, snake
from .reading import Reading, ddl


def write_enums(reading: Reading, imports: Imports) -> str:
    """Return the enumerations that columns have, as classes."""
    classes = []
    for name, values in sorted(reading.writer.enum_values.items()):
        imports.add(("enum", "StrEnum"))
        taken: set[str] = set()
        lines = [f"class {name}(StrEnum):"]
        for value in values:
            member = _member(value, taken)
            taken.add(member)
            lines.append(f"    {member} = {value!r}")
        classes.append("\n".join(lines))
    return "\n\n\n".join(classes)


def _member(value: str, taken: set[str]) -> str:
    member = re.sub(r"\W+", "_", value).upper().strip("_") or "EMPTY"
    if member[0].isdigit() or keyword.iskeyword(member):
        member = f"VALUE_{member}"
    return free(member, taken)


def write_plain_table(table: Table, reading: Reading, imports: Imports) -> str:
    """Return a table without a primary key: rows that cannot be told apart are no models."""
    imports |= {("sqlalchemy", "Table"), ("sqlalchemy", "Column")}
    arguments = arguments_of(table, reading)
    imports |= arguments.imports
    rows = [repr(table.name), "SQLModel.metadata"]
    for column in table.columns:
        reading.writer.imports.clear()
        raw = reading.raw[table.fullname, column.name]
        if ddl(column.type, reading.dialect) != raw.ddl:
            column.type = raw.type
        reading.writer.collect_imports_for_column(column)
        written = reading.writer.render_column_type(column)
        for module, names in reading.writer.imports.items():
            imports.update((module, name) for name in names if name in written)
        parts = [repr(column.name), written]
        at_field = arguments.at_fields.get(column.name, {})
        if "foreign_key" in at_field:
            imports.add(("sqlalchemy", "ForeignKey"))
            rule = f", ondelete={at_field['ondelete']}" if "ondelete" in at_field else ""
            parts.append(f"ForeignKey({at_field['foreign_key']}{rule})")
        parts += [f"{key}=True" for key in ("unique", "index") if key in at_field]
        if not column.nullable:
            parts.append("nullable=False")
        if raw.default is not None:
            imports.add(("sqlalchemy", "text"))
            parts.append(f"server_default=text({raw.default!r})")
        rows.append(f"Column({', '.join(parts)})")
    rows += arguments.items
    rows += [f"{name}={value}" for name, value in arguments.options.items()]
    body = "".join(f"    {row},\n" for row in rows)
    return f"{snake(table.name)} = Table(\n{body})"
