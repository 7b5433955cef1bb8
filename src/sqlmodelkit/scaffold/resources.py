"""A new table with all that belongs to it: schemas, service, router, test.

Start at `add_resource`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlmodelkit.errors import ConfigError
from sqlmodelkit.projects import Project
from sqlmodelkit.schemas import field_line

from . import sources
from .changes import Changes
from .fields import Asked, check_model, parse
from .relatives import Relative, by_table, find_relative, plural, sample, snake
from .rendering import render
from .writing import Names, link_text, model_text

_TESTED = ("httpx2", "AsyncClient"), ("sqlmodelkit", "Database"), ("typing", "Any")


def add_resource(
    project: Project,
    name: str,
    fields: Sequence[str],
    *,
    many: str | None = None,
    public: bool = False,
) -> Changes:
    """Return what a new resource would change in a project.

    Args:
        project: The project, as `sqlmodelkit new` makes it.
        name: The class of the table, as `Hero`.
        fields: Its fields, as `name:str:unique`, `age:int?`, `team:Team`, `powers:Power[]`.
        many: The plural, as `heroes`; left out, it is guessed.
        public: Whether everybody may write; otherwise `WRITER` of the project's `auth` may.

    Raises:
        ConfigError: A field cannot be read, a table is not there, or something is there already.
    """
    check_model(name)
    return _Resource(project, name, parse(fields), many, public).changes()


@dataclass
class _Resource:
    project: Project
    name: str
    fields: list[Asked]
    many: str | None
    public: bool
    relatives: dict[str, Relative] = field(default_factory=dict)

    def changes(self) -> Changes:
        self.project.load_models()
        for each in self.fields:
            if each.kind is None:
                self.relatives[each.name] = self._relative(each)
        changes = Changes(self.project.root)
        package, many = self.names.package, self.names.many
        changes.add(
            f"{package}/models/{many}.py", model_text(self.names, self.fields, self.relatives)
        )
        changes.edit(f"{package}/models/__init__.py", self._listed)
        for each in self.fields:
            if each.kind is None:
                self._relate(changes, each)
        changes.add(f"{package}/services/{many}.py", self._service())
        changes.add(f"{package}/routers/{many}.py", self._router())
        changes.edit(f"{package}/routers/__init__.py", self._included)
        changes.add(f"tests/test_{many}.py", self._test())
        return changes

    @property
    def names(self) -> Names:
        entrypoint = self.project.entrypoint or self.project.models[0]
        package = entrypoint.partition(":")[0].partition(".")[0]
        return Names(self.name, self.many or plural(snake(self.name)), package)

    def _relative(self, each: Asked) -> Relative:
        if each.target == self.name or any(r.name == each.target for r in self.relatives.values()):
            raise ConfigError(
                f"{each.name} leads to {each.target}, by a second way or to itself.",
                hint="Leave it out, and write this relation by hand.",
            )
        return find_relative(each.target, self.project.root)

    def _relate(self, changes: Changes, each: Asked) -> None:
        """Let the other table know of this one."""
        other, names = self.relatives[each.name], self.names
        arguments = {"back_populates": f'"{each.name}"'}
        wanted = [("sqlmodel", "Relationship")]
        if each.many:
            link = f"{self.name}{other.name}"
            module = f"{names.package}.models.{snake(link)}s"
            changes.add(f"{module.replace('.', '/')}.py", link_text(names, other))
            changes.edit(
                f"{names.package}/models/__init__.py",
                lambda text: sources.with_import(text, module, f"{link} as {link}"),
            )
            arguments["link_model"] = link
            wanted.append((module, link))
        arguments["passive_deletes"] = '"all"'
        line = field_line(names.many, f'list["{self.name}"]', arguments, function="Relationship")

        def change(text: str) -> str:
            text = sources.with_member(text, other.name, names.many, line)
            for module, name in wanted:
                text = sources.with_import(text, module, name)
            return sources.with_typing_import(
                text, f"{names.package}.models.{names.many}", self.name
            )

        changes.edit(other.file, change)

    def _listed(self, text: str) -> str:
        module = f"{self.names.package}.models.{self.names.many}"
        return sources.with_import(text, module, f"{self.name} as {self.name}")

    def _included(self, text: str) -> str:
        module = f"{self.names.package}.routers.{self.names.many}"
        text = sources.with_import(text, module, f"router as {self.names.many}")
        return sources.with_inclusion(text, self.names.many)

    def _links(self) -> list[dict[str, str]]:
        found = []
        for each in self.fields:
            if each.many:
                other = self.relatives[each.name]
                names = Names(other.name, plural(snake(other.name)), "")
                more = {"model": f"{self.name}{other.name}", "key": other.key}
                found.append(names.values() | more)
        return found

    def _values(self, wanted: Iterable[tuple[str, str]], **more: Any) -> dict[str, Any]:
        imports = sources.imports(wanted, own=self.names.package)
        return self.names.values() | {"imports": imports, "links": self._links()} | more

    def _service(self) -> str:
        module = f"{self.names.package}.models.{self.names.many}"
        wanted = [(module, f"{self.name}{part}") for part in ("", "Create", "Public", "Update")]
        wanted.append(("sqlmodelkit", "ServiceBase"))
        for each in self.fields:
            if each.many:
                other = self.relatives[each.name]
                link = f"{self.name}{other.name}"
                wanted += [
                    ("contextlib", "suppress"),
                    ("sqlmodel", "col"),
                    ("sqlmodel", "delete"),
                    ("sqlmodelkit", "NotFound"),
                    ("sqlmodelkit", "UniqueViolation"),
                    ("uuid", "UUID"),
                    (f"{self.names.package}.models.{snake(link)}s", link),
                    (other.module, other.name),
                ]
        return sources.fitted(render("resource/service.py", self._values(wanted)))

    def _router(self) -> str:
        package, many = self.names.package, self.names.many
        wanted = [
            ("fastapi", "APIRouter"),
            ("sqlmodelkit.fastapi", "crud_router"),
            (f"{package}.services.{many}", f"{self.name}Service"),
        ]
        if not self.public:
            self._check_writer()
            wanted.append((f"{package}.auth", "WRITER"))
        if self._links():
            wanted += [
                ("typing", "Annotated"),
                ("uuid", "UUID"),
                ("sqlmodelkit.fastapi", "ErrorBody"),
                ("sqlmodelkit.fastapi", "service"),
                (f"{package}.models.{many}", f"{self.name}Public"),
            ]
        access = "public=True" if self.public else "auth=WRITER"
        values = self._values(wanted, access=access, writer=not self.public)
        return sources.fitted(render("resource/router.py", values))

    def _check_writer(self) -> None:
        path = self.project.root / self.names.package / "auth.py"
        if not path.is_file() or "WRITER" not in path.read_text(encoding="utf-8"):
            raise ConfigError(
                f"There is no WRITER in {self.names.package}/auth.py, who may write.",
                hint="Write one, a list of dependencies; or let everybody write: --public.",
            )

    def _test(self) -> str:
        parents: dict[str, dict[str, Any]] = {}
        wanted: list[tuple[str, str]] = [*_TESTED]
        for relative in self.relatives.values():
            _gather(relative, parents, wanted)
        wish = [
            f'"{each.name}_id": await add_{snake(each.target)}(db)'
            if each.kind is None
            else f'"{each.name}": {each.kind.sample}'
            for each in self.fields
            if not each.many
        ]
        columns = [each for each in self.fields if each.kind]
        values = self._values(
            wanted,
            parents=list(parents.values()),
            wish=wish,
            first=next(each.name for each in columns if not each.optional),
            unique=next((each.name for each in columns if each.unique), None),
        )
        return sources.fitted(render("resource/test.py", values))


def _gather(
    relative: Relative, parents: dict[str, dict[str, Any]], wanted: list[tuple[str, str]]
) -> None:
    """Collect how a row of a table is stored in tests, and first those that it refers to."""
    if relative.name in parents:
        return
    needs, values = [], []
    for name, column in relative.required():
        if column.primary_key:
            continue
        if column.foreign_keys:
            other = by_table(next(iter(column.foreign_keys)).column.table, relative.root)
            _gather(other, parents, wanted)
            needs.append({"one": snake(other.name)})
            key = (
                f"UUID({snake(other.name)}_id)"
                if other.key == "UUID"
                else f"int({snake(other.name)}_id)"
            )
            wanted += [("uuid", "UUID")] if other.key == "UUID" else []
            values.append(f"{name}={key}")
        else:
            text, more = sample(column)
            wanted += more
            values.append(f"{name}={text}")
    wanted.append((relative.module, relative.name))
    names = Names(relative.name, plural(snake(relative.name)), "")
    scopes = ", ".join(f'"{name}"' for name in relative.scopes)
    wanted += [("sqlmodelkit", "Scope")] if scopes else []
    parents[relative.name] = names.values() | {
        "needs": needs,
        "given": values,
        "scope": f"scope=Scope(leaving=[{scopes}])" if scopes else "",
    }
