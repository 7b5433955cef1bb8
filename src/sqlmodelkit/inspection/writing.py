"""What was read, as a module of models.

Start at `write_models`.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from sqlalchemy import Table

from sqlmodelkit.schemas import (
    SchemaField,
    call,
    class_text,
    create_lines,
    field_line,
    public_lines,
    update_lines,
)

from .arguments import TableArguments, arguments_of
from .fields import ColumnField, Imports, annotation_of, field_of
from .names import attribute, class_name
from .reading import Reading
from .relations import Naming, Relation, is_link, relations_of
from .tables import write_enums, write_plain_table
from .texts import mapping, tidy, tuple_of, write_imports

_ORDER = (
    *("default", "max_length", "max_digits", "decimal_places", "primary_key", "foreign_key"),
    *("ondelete", "unique", "index", "nullable", "sa_type", "sa_column_args", "sa_column_kwargs"),
)


@dataclass(frozen=True, slots=True)
class _Model:
    """A table with all that is written of it."""

    table: Table
    name: str
    fields: tuple[ColumnField, ...]
    arguments: TableArguments
    relations: tuple[Relation, ...]


def write_models(reading: Reading, *, schemas: bool) -> str:
    """Return the text of a module.

    Args:
        reading: What was read.
        schemas: Whether to write the five classes of each table: base, table, create, update,
            public.
    """
    imports: Imports = {("sqlmodel", "SQLModel")}
    naming = _name(reading, schemas=schemas)
    mapped = [table for table in reading.tables if table.fullname in naming.classes]
    # A class that joins two others has to be there before them.
    mapped.sort(key=lambda table: not is_link(table))
    relations = relations_of(reading.tables, naming)
    blocks = [write_enums(reading, imports)]
    known: set[str] = set()
    for table in mapped:
        model = _model(table, reading, naming, relations)
        imports |= model.arguments.imports
        for field in model.fields:
            imports |= field.imports
        if model.relations:
            imports.add(("sqlmodel", "Relationship"))
        blocks += _classes(model, known, imports, schemas=schemas)
        known.add(model.name)
    for table in reading.tables:
        if table.fullname not in naming.classes:
            blocks.append(write_plain_table(table, reading, imports))
    body = "\n\n\n".join(block for block in blocks if block)
    return tidy(f"{write_imports(imports)}\n\n\n{body}\n")


def _name(reading: Reading, *, schemas: bool) -> Naming:
    classes: dict[str, str] = {}
    attributes: dict[tuple[str, str], str] = {}
    taken = {*reading.writer.enum_values, "UUID", "Decimal", "NaiveDatetime", "Any", "Optional"}
    for table in reading.tables:
        if not table.primary_key.columns:
            continue
        name = class_name(table.name, taken)
        taken.add(name)
        if schemas:
            taken.update(f"{name}{end}" for end in ("Base", "Create", "Update", "Public"))
        classes[table.fullname] = name
        annotations = {annotation_of(column, reading) for column in table.columns}
        own: set[str] = set()
        for column in table.columns:
            found = attribute(column.name, annotations=annotations, taken=own)
            own.add(found)
            attributes[table.fullname, column.name] = found
    return Naming(classes, attributes)


def _model(
    table: Table, reading: Reading, naming: Naming, relations: Mapping[str, list[Relation]]
) -> _Model:
    arguments = arguments_of(table, reading)
    fields = []
    for column in table.columns:
        found = field_of(column, naming.attribute_of(table, column.name), reading=reading)
        fields.append(found.with_stored(**arguments.at_fields.get(column.name, {})))
    return _Model(
        table,
        naming.class_of(table),
        tuple(fields),
        arguments,
        tuple(relations[table.fullname]),
    )


def _classes(model: _Model, known: set[str], imports: Imports, *, schemas: bool) -> Iterator[str]:
    if not schemas:
        yield _table_class(model, "SQLModel", model.fields, known, imports)
        return
    shared = [f for f in model.fields if not (f.is_key or f.generated or f.secret)]
    own = [field for field in model.fields if field not in shared]
    base = f"{model.name}Base"
    schema = {field.name: _schema_field(field) for field in model.fields}
    yield class_text(f"{base}(SQLModel)", map(_stored, shared))
    yield _table_class(model, base, own, known, imports)
    given = [schema[field.name] for field in own]
    yield class_text(f"{model.name}Create({base})", create_lines(given))
    yield class_text(f"{model.name}Update(SQLModel)", update_lines(schema.values()))
    yield class_text(f"{model.name}Public({base})", public_lines(given))


def _schema_field(field: ColumnField) -> SchemaField:
    optional = (field.optional and not field.is_key) or field.defaulted
    return SchemaField(
        name=field.name,
        annotation=field.annotation,
        nullable=bool(field.column.nullable) and not field.is_key,
        default={"default": "None"} if optional else {},
        rules=field.rules,
        key=field.is_key,
        written=not field.generated,
        shown=field.is_key or not field.secret,
        refers=bool(field.column.foreign_keys),
    )


def _table_class(
    model: _Model,
    base: str,
    fields: Iterable[ColumnField],
    known: set[str],
    imports: Imports,
) -> str:
    lines = []
    if model.name.lower() != model.table.name:
        lines.append(
            f"__tablename__ = {model.table.name!r}  # pyright: ignore[reportAssignmentType]"
        )
    items = list(model.arguments.items)
    if model.arguments.options:
        items.append(mapping(model.arguments.options))
    if items:
        lines.append(tuple_of(items, "__table_args__ = "))
    if lines:
        lines.append("")
    lines += [_stored(field) for field in fields]
    if model.relations:
        lines.append("")
    lines += [_relation(relation, known, imports) for relation in model.relations]
    while lines and not lines[-1]:
        lines.pop()
    return class_text(f"{model.name}({base}, table=True)", lines)


def _stored(field: ColumnField) -> str:
    arguments = {**field.rules, **field.stored}
    if field.optional or field.defaulted:
        arguments["default"] = "None"
    ordered = {name: arguments[name] for name in sorted(arguments, key=_ORDER.index)}
    optional = field.optional and field.annotation != "Any"
    whole = f"{field.annotation} | None" if optional else field.annotation
    return field_line(field.name, whole, ordered)


def _relation(relation: Relation, known: set[str], imports: Imports) -> str:
    target = relation.target
    if relation.many:
        annotation = f'list["{target}"]'
    elif relation.optional and target not in known:
        imports.add(("typing", "Optional"))
        annotation = f'Optional["{target}"]'
    else:
        named = target if target in known else f'"{target}"'
        annotation = f"{named} | None" if relation.optional else named
    arguments = {"back_populates": repr(relation.back)}
    if relation.link:
        arguments["link_model"] = relation.link
    elif relation.many:
        arguments["passive_deletes"] = '"all"'
    options = {name: repr(value) for name, value in relation.options}
    if "uselist" in options:
        options["uselist"] = "False"
        arguments["passive_deletes"] = '"all"'
    if options:
        arguments["sa_relationship_kwargs"] = mapping(options)
    return call("Relationship", arguments, f"{relation.name}: {annotation} = ")
