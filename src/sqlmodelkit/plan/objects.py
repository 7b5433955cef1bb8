"""The plan over ORM objects: exactly the shown columns and relations, everything else blocked."""

from collections.abc import Collection, Sequence

from sqlalchemy import true
from sqlalchemy.orm import Load
from sqlalchemy.orm.interfaces import ORMOption
from sqlmodel import SQLModel

from sqlmodelkit.columns import key_of, relations_of
from sqlmodelkit.errors import ConfigError

from .shape import Edge, Shape


def shape_options(shape: Shape) -> tuple[ORMOption, ...]:
    """Return loader options for table rows with exactly what a response shows."""
    return _options([shape], Load(shape.model))


def _options(shapes: Sequence[Shape], load: Load) -> tuple[ORMOption, ...]:
    """Return options for rows of a table of which several shapes are shown, usually one."""
    model = shapes[0].model
    options: list[ORMOption] = []
    opaque = any(shape.opaque for shape in shapes)
    if not opaque:
        shown = (name for shape in shapes for name in shape.columns)
        names = dict.fromkeys((*key_of(model), *shown))
        options.append(load.load_only(*(getattr(model, name) for name in names)))
    edges: dict[str, list[Edge]] = {}
    for edge in (edge for shape in shapes for edge in shape.relations):
        edges.setdefault(edge.name, []).append(edge)
    options += [_block(load, model, name) for name in relations_of(model) if name not in edges]
    for name, same in edges.items():
        attribute = getattr(model, name)
        inner = load.selectinload(attribute) if same[0].many else load.joinedload(attribute)
        options += _options([edge.shape for edge in same], inner) or (inner,)
    return tuple(options)


def _block(load: Load, model: type[SQLModel], name: str) -> Load:
    # With a criterion of its own a lazy load always asks the session, which refuses with
    # NotLoaded; without one it may answer from what happens to be in the session already.
    return load.lazyload(getattr(model, name).and_(true()))


def row_options(model: type[SQLModel], load: Collection[str]) -> tuple[ORMOption, ...]:
    """Return loader options for table rows with exactly the relations named.

    Args:
        model: The table model.
        load: Relations to load; a dot goes further, as in `"lines.product"`.

    Raises:
        ConfigError: A name is not a relation.
    """
    if isinstance(load, str):
        raise ConfigError(
            f"load={load!r} is a text.", hint=f'Write load=["{load}"].', fields=["load"]
        )
    return _named(model, [name.split(".") for name in load], Load(model))


def _named(model: type[SQLModel], paths: Sequence[list[str]], load: Load) -> tuple[ORMOption, ...]:
    relations = relations_of(model)
    groups: dict[str, list[list[str]]] = {}
    for first, *rest in paths:
        if first not in relations:
            raise ConfigError(
                f"{model.__name__} has no relation {first!r} to load.",
                hint=f"Relations are {', '.join(relations) or 'none'}.",
                fields=[first],
            )
        groups.setdefault(first, []).extend([rest] if rest else [])
    options: list[ORMOption] = [
        _block(load, model, name) for name in relations if name not in groups
    ]
    for name, inner_paths in groups.items():
        relation = relations[name]
        attribute = getattr(model, name)
        inner = load.selectinload(attribute) if relation.uselist else load.joinedload(attribute)
        options.append(inner)
        options += _named(relation.mapper.class_, inner_paths, inner)
    return tuple(options)
