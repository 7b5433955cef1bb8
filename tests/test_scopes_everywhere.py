"""Every public method of a service, for every kind of scope, with rows out of scope and without.

Rows out of scope are hung to whatever can hold them. A reading method must answer the same as
after they have been removed from the tables; a writing method must leave them as they were.
A public method that is not listed here fails `test_every_public_method_is_listed`: add it to
`READS` or `WRITES`, with each way in which it finds rows.
"""

import inspect
from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, Literal

import pytest
from pydantic import BaseModel
from sqlalchemy import select as sql_select
from sqlmodel import SQLModel, col

from sqlmodelkit import Database, ServiceBase, any_of, not_, where
from sqlmodelkit.columns import columns_of, key_of, relations_of
from sqlmodelkit.errors import ForeignKeyViolation, SQLModelKitError
from sqlmodelkit.pages import sortable
from tests.firms import (
    EVERYBODY,
    TABLES,
    Label,
    LabelDeep,
    LabelService,
    Member,
    MemberDeep,
    MemberService,
    Named,
    Project,
    ProjectCard,
    ProjectCreate,
    ProjectDetail,
    ProjectLabel,
    ProjectObjects,
    ProjectPublic,
    ProjectService,
    ProjectTop,
    ProjectUpdate,
    Remark,
    RemarkCreate,
    RemarkPublic,
    RemarkService,
    Side,
    Task,
    TaskCreate,
    TaskDeep,
    TaskPublic,
    TaskService,
    TaskUpdate,
    add_firm,
    create_firms,
)

Kind = Literal["deleted", "tenant", "owner"]
KINDS: tuple[Kind, ...] = ("deleted", "tenant", "owner")
Service = ServiceBase[Any, Any, Any]
Call = Callable[[Any, "Case"], Coroutine[Any, Any, Any]]

WITHOUT_ROWS = {"check", "create_values", "plan", "session", "update_values"}
"""What reads and writes nothing: checks, hooks, plans, and the session, which has its own tests."""


@dataclass(frozen=True)
class Case:
    """A service, and what its methods are asked for.

    Attributes:
        service: The service's class.
        key: The key of a row in scope.
        hidden: The key of one that is not, or None where the table holds none.
        ways: Response models to read.
        loads: Relations to load.
        filters: Conditions along relations that only rows out of scope meet.
        create: Makes input for a new row.
        change: Makes input for a change.
        refer: Input for either that refers to a row out of scope, where one can.
    """

    service: type[Service]
    key: Any
    hidden: Any
    ways: tuple[type[BaseModel], ...]
    loads: tuple[str, ...]
    filters: Mapping[str, Any]
    create: Callable[[], BaseModel]
    change: Callable[[], BaseModel]
    refer: Callable[[], BaseModel] | None = None

    @property
    def keys(self) -> list[Any]:
        """The keys of both rows."""
        return [self.key, *self.unseen]

    @property
    def unseen(self) -> list[Any]:
        """The key of the row that is not in scope, if there is one."""
        return [] if self.hidden is None else [self.hidden]


@dataclass(frozen=True)
class Hidden:
    """The keys of rows that are out of scope, by what they are."""

    project: Any
    task: int
    label: int | None
    firm: Any


async def hide(database: Database, side: Side, kind: Kind) -> Hidden:
    """Store rows out of scope of one kind, and hang them to rows of `side` wherever they fit."""
    firm, member = side.firm, side.member
    if kind == "tenant":
        other = await add_firm(database, "hidden")
        firm, member = other.firm, other.member
    async with database.transaction(scope=EVERYBODY) as session:
        if kind == "owner":
            colleague = Member(firm_id=firm, name="colleague")
            session.add(colleague)
            await session.flush()
            member = colleague.id or 0
        project = Project(firm_id=firm, code="H", name="hidden", lead_id=side.member)
        label = Label(firm_id=firm, name="hidden")
        session.add_all([project, label])
        await session.flush()
        near = Task(
            firm_id=firm, member_id=member, project_id=side.projects[0], title="hidden", hours=99
        )
        session.add(near)
        if kind != "owner":
            mine = await session.get_one(Project, side.projects[0])
            mine.parent_id = project.id
            await session.flush()
            session.add(ProjectLabel(project_id=project.id, label_id=side.label))
        if kind == "tenant":
            session.add(ProjectLabel(project_id=side.projects[0], label_id=label.id or 0))
        await session.flush()
        project_id = None if kind == "owner" else project.id
        session.add(Remark(text="loose", project_id=project_id, task_id=near.id))
        if kind == "deleted":
            await ProjectService(session).delete(project.id)
            await TaskService(session).delete(near.id)
        if kind != "tenant":
            await session.delete(label)
        if kind == "owner":
            # Projects have no owner: this one would be in scope.
            await session.delete(project)
    gone = kind == "owner"
    return Hidden(
        None if gone else project.id, near.id or 0, label.id if kind == "tenant" else None, firm
    )


async def unhide(database: Database, side: Side, kind: Kind, hidden: Hidden) -> None:
    """Remove the rows out of scope from the tables, and what refers to them."""
    tables = SQLModel.metadata.tables
    projects, tasks, labels = tables["f_project"], tables["f_task"], tables["f_label"]
    links, remarks = tables["f_project_label"], tables["f_remark"]
    away = {
        "deleted": projects.c.deleted_at.is_not(None),
        "tenant": projects.c.firm_id != side.firm,
        "owner": projects.c.id.is_(None),
    }[kind]
    hidden_tasks = {
        "deleted": tasks.c.deleted_at.is_not(None),
        "tenant": tasks.c.firm_id != side.firm,
        "owner": tasks.c.member_id != side.member,
    }[kind]
    async with database.engine.begin() as connection:
        gone = list((await connection.execute(sql_select(projects.c.id).where(away))).scalars())
        gone_tasks = list(
            (await connection.execute(sql_select(tasks.c.id).where(hidden_tasks))).scalars()
        )
        foreign = list(
            (
                await connection.execute(
                    sql_select(labels.c.id).where(labels.c.firm_id != side.firm)
                )
            ).scalars()
        )
        for statement in (
            remarks.update().where(remarks.c.project_id.in_(gone)).values(project_id=None),
            remarks.update().where(remarks.c.task_id.in_(gone_tasks)).values(task_id=None),
            projects.update().where(projects.c.parent_id.in_(gone)).values(parent_id=None),
            links.delete().where(links.c.project_id.in_(gone) | links.c.label_id.in_(foreign)),
            tasks.delete().where(tasks.c.id.in_(gone_tasks)),
        ):
            await connection.execute(statement)
        # Live tasks of deleted projects stay, and show no project.
        kept = sql_select(tasks.c.project_id)
        for statement in (
            projects.delete().where(projects.c.id.in_(gone), projects.c.id.not_in(kept)),
            labels.delete().where(labels.c.id.in_(foreign)),
        ):
            await connection.execute(statement)


async def snapshot(database: Database) -> dict[str, list[Any]]:
    """Return all rows of all tables, as they are."""
    async with database.engine.connect() as connection:
        return {
            table.name: [
                tuple(row)
                for row in await connection.execute(
                    table.select().order_by(*table.primary_key.columns)
                )
            ]
            for table in TABLES
        }


def cases(side: Side, hidden: Hidden) -> list[Case]:
    """Return what is asked of each service."""
    number = count(1)
    return [
        Case(
            ProjectService,
            side.projects[0],
            hidden.project,
            (ProjectPublic, ProjectCard, ProjectDetail, ProjectTop, ProjectObjects),
            (
                "firm",
                "parent.lead",
                "lead.tasks",
                "tasks.project",
                "tasks.member",
                "labels.projects",
            ),
            {"tasks__title": "hidden", "parent__name": "hidden", "labels__name": "hidden"},
            lambda: ProjectCreate(code=f"N{next(number)}", name="new"),
            lambda: ProjectUpdate(name=f"changed {next(number)}"),
        ),
        Case(
            TaskService,
            side.tasks[0],
            hidden.task,
            (TaskPublic, TaskDeep),
            ("project.parent", "project.labels", "member.projects"),
            {"title": "hidden", "project__parent__name": "hidden"},
            lambda: TaskCreate(project_id=side.projects[0], title="new"),
            lambda: TaskUpdate(title=f"changed {next(number)}"),
            None
            if hidden.project is None
            else lambda: TaskCreate(project_id=hidden.project, title="new"),
        ),
        Case(
            LabelService,
            side.label,
            hidden.label,
            (Named, LabelDeep),
            ("projects.tasks",),
            {"projects__name": "hidden", "projects__tasks__title": "hidden"},
            lambda: Named(name=f"new {next(number)}"),
            lambda: Named(name=f"changed {next(number)}"),
        ),
        Case(
            MemberService,
            side.member,
            None,
            (Named, MemberDeep),
            ("projects.tasks", "tasks.project"),
            {"projects__name": "hidden", "tasks__title": "hidden"},
            lambda: Named(name=f"new {next(number)}"),
            lambda: Named(name=f"changed {next(number)}"),
        ),
        Case(
            RemarkService,
            side.remark,
            None,
            (RemarkPublic,),
            ("project.tasks", "task.project"),
            {"project__name": "hidden", "task__title": "hidden"},
            lambda: RemarkCreate(text="new"),
            lambda: RemarkCreate(text=f"changed {next(number)}"),
            lambda: RemarkCreate(text="new", task_id=hidden.task),
        ),
    ]


UNSEEN = {"_sa_instance_state", "parent_id", "project_id", "task_id"}
"""What a table row has in any case: the keys of others, which are its own values."""


def plain(found: Any, seen: tuple[int, ...] = ()) -> Any:
    """Return an answer as values that can be compared, with what is loaded of its relations."""
    match found:
        case SQLModel() if hasattr(found, "_sa_instance_state"):
            if id(found) in seen:
                return "as above"
            loaded = {name: v for name, v in vars(found).items() if name not in UNSEEN}
            return {name: plain(loaded[name], (*seen, id(found))) for name in sorted(loaded)}
        case BaseModel():
            return {name: plain(getattr(found, name), seen) for name in type(found).model_fields}
        case SQLModelKitError():
            return type(found).__name__, str(found)
        case Mapping():
            return {key: plain(value, seen) for key, value in found.items()}
        case list() | tuple():
            return [plain(each, seen) for each in found]
    return found


async def gathered(parts: Any) -> list[Any]:
    """Return all that is streamed."""
    return [part async for part in parts]


def statements_of(report: str) -> list[str]:
    """Return what was sent, without the database's plans, whose guesses depend on the rows."""
    return [line for line in report.splitlines() if not line.startswith(" ")]


async def explained(service: Any, case: Case) -> Any:
    """Return what is sent for every response model."""
    reports = [await service.explain(into=way) for way in case.ways]
    if issubclass(case.service.model, Task):
        assert all("firm_id" in report and "member_id" in report for report in reports)
    return [statements_of(report) for report in reports]


def per_way(name: str, *arguments: str, **options: Any) -> Call:
    """Return a call of a method for each response model, and for each filter."""

    async def call(service: Any, case: Case) -> Any:
        method = getattr(service, name)
        given = [getattr(case, argument) for argument in arguments]
        found = [await method(*given, into=way, **options) for way in case.ways]
        if not arguments:
            for condition, value in case.filters.items():
                found.append(await method(into=case.ways[-1], **{condition: value}))
        return found

    return call


def per_load(name: str, *arguments: str, **options: Any) -> Call:
    """Return a call of a method for each relation."""

    async def call(service: Any, case: Case) -> Any:
        method = getattr(service, name)
        given = [getattr(case, argument) for argument in arguments]
        return [await method(*given, load=[load], **options) for load in case.loads]

    return call


def per_filter(name: str) -> Call:
    """Return a call of a method with each filter by itself, negated, and as alternative."""

    async def call(service: Any, case: Case) -> Any:
        method, found = getattr(service, name), []
        for condition, value in case.filters.items():
            found += [
                await method(**{condition: value}),
                await method(not_(where(**{condition: value}))),
                await method(any_of(where(**{condition: value}), where(id=case.key))),
            ]
        return [*found, await method()]

    return call


def of_hidden(name: str, **options: Any) -> Call:
    """Return a call of a method with the key of a row out of scope, by each response model."""

    async def call(service: Any, case: Case) -> Any:
        found = []
        for given in ({}, *({"into": way} for way in case.ways)):
            try:
                found.append(await getattr(service, name)(case.hidden, **given, **options))
            except SQLModelKitError as error:
                found.append(error)
            except TypeError:
                assert not given  # these answer JSON, and need a response model
        return found

    return call


async def found_many(service: Any, case: Case) -> Any:
    """Ask for both rows at once."""
    found = [await service.get_many([case.key], load=[load]) for load in case.loads]
    found += [await service.get_many([case.key], into=way) for way in case.ways]
    try:
        found.append(await service.get_many(case.keys))
    except SQLModelKitError as error:
        found.append(error)
    return found


async def reckoned(service: Any, case: Case) -> Any:
    """Reckon over all rows, over those along each relation, and in groups of these."""
    found = await per_filter("count")(service, case)
    for condition, value in case.filters.items():
        found.append(await service.aggregate({"n": "count"}, **{condition: value}))
    for name, relation in relations_of(case.service.model).items():
        field = f"{name}__{key_of(relation.mapper.class_)[0]}"
        found.append(await service.aggregate({"n": "count", "m": f"{field}__count"}))
        if not relation.uselist:
            found.append(await service.aggregate({"n": "count"}, by=(field,)))
    return found


def first_field(case: Case) -> str:
    """Return a field to group by that is no key, which would go with the row it refers to."""
    keys = key_of(case.service.model)
    return next(
        name
        for name, column in columns_of(case.service.model).items()
        if name not in keys and sortable(column) and not column.foreign_keys
    )


async def topped(service: Any, case: Case) -> Any:
    """Ask for the first row of each group, in each way."""
    by = (first_field(case),)
    found = [await service.top(1, by=by, into=way) for way in case.ways]
    found += [await service.top(1, by=by, load=[load]) for load in case.loads]
    for condition, value in case.filters.items():
        found.append(await service.top(1, by=by, into=case.ways[0], **{condition: value}))
    return found


async def found_or_none(service: Any, case: Case) -> Any:
    """Ask for both rows at once, as they may be missing."""
    found = [await service.find_many(case.keys, into=way) for way in case.ways]
    return [*found, *[await service.find_many(case.keys, load=[load]) for load in case.loads]]


async def streamed(service: Any, case: Case, name: str) -> Any:
    """Stream all, a row at a time."""
    method = getattr(service, name)
    found = [await gathered(method(into=way, batch=1)) for way in case.ways]
    for condition, value in case.filters.items():
        found.append(await gathered(method(into=case.ways[0], **{condition: value})))
    return found


READS: Mapping[str, tuple[Call, ...]] = {
    "aggregate": (reckoned,),
    "distinct": (lambda service, case: service.distinct(first_field(case)),),
    "existing": (lambda service, case: service.existing(case.keys),),
    "find_many": (found_or_none,),
    "top": (topped,),
    "all": (per_way("all"), per_load("all"), per_filter("all")),
    "all_json": (per_way("all_json"),),
    "count": (per_filter("count"),),
    "cursor_page": (
        per_way("cursor_page"),
        per_way("cursor_page", limit=1),
        per_load("cursor_page"),
        per_filter("cursor_page"),
    ),
    "cursor_page_json": (per_way("cursor_page_json"), per_way("cursor_page_json", limit=1)),
    "exists": (per_filter("exists"), lambda service, case: service.exists(id__in=case.unseen)),
    "explain": (explained,),
    "find": (
        lambda service, case: service.find(id=case.key, load=case.loads),
        lambda service, case: service.find(id=case.key, into=case.ways[-1]),
        lambda service, case: service.find(col(case.service.model.id).in_(case.keys)),
    ),
    "get": (
        per_way("get", "key"),
        per_load("get", "key"),
        per_load("get", "key", lock=True),
        of_hidden("get"),
    ),
    "get_json": (per_way("get_json", "key"), of_hidden("get_json")),
    "get_many": (found_many,),
    "page": (per_way("page"), per_load("page"), per_filter("page"), per_way("page", limit=1)),
    "page_json": (per_way("page_json"), per_way("page_json", limit=1)),
    "stream": (lambda service, case: streamed(service, case, "stream"),),
    "stream_json": (lambda service, case: streamed(service, case, "stream_json"),),
}
"""The reading methods: calls whose answers must not depend on rows out of scope."""

WITH_DELETED: Mapping[str, Call] = {
    "all": per_way("all", include_deleted=True),
    "count": lambda service, case: service.count(include_deleted=True),
    "exists": lambda service, case: service.exists(id__in=case.unseen, include_deleted=True),
    "get": of_hidden("get", include_deleted=True),
    "page_json": per_way("page_json", include_deleted=True),
}
"""Who asks for deleted rows gets those of the scope, and no others."""


def put_one(name: str) -> Callable[[Any, Case, Any], Coroutine[Any, Any, Any]]:
    """Return a call of a method that needs a unique key, where the table has one to be named."""

    async def call(service: Any, case: Case, key: Any) -> Any:
        if case.service.model is not Project:
            return await service.insert_many([case.create()])
        row = case.create()
        given = [row] if name == "upsert_many" else row
        return await getattr(service, name)(given, on=("firm_id", "code"))

    return call


async def incremented(service: Any, case: Case, key: Any) -> Any:
    """Count up where there is a number, and write something else where there is none."""
    if hasattr(case.service.model, "hours"):
        return await service.increment(key, {"hours": 1})
    return await service.update(key, case.change())


ADDING = {
    "create", "create_json", "create_many", "get_or_create", "insert_many", "upsert", "upsert_many",
}  # fmt: skip
"""What adds rows."""

WRITES: Mapping[str, tuple[Callable[[Any, Case, Any], Coroutine[Any, Any, Any]], ...]] = {
    "create": (
        lambda service, case, key: service.create(case.create()),
        lambda service, case, key: service.create(case.create(), into=case.ways[0]),
    ),
    "create_json": (
        lambda service, case, key: service.create_json(case.create(), into=case.ways[0]),
    ),
    "create_many": (
        lambda service, case, key: service.create_many([case.create()]),
        lambda service, case, key: service.create_many([case.create()], into=case.ways[-1]),
    ),
    "delete": (lambda service, case, key: service.delete(key),),
    "delete_where": (lambda service, case, key: service.delete_where(id=key),),
    "get_or_create": (put_one("get_or_create"),),
    "increment": (incremented,),
    "insert_many": (lambda service, case, key: service.insert_many([case.create()]),),
    "purge": (lambda service, case, key: service.purge(id=key),),
    "restore": (
        lambda service, case, key: service.restore(key),
        lambda service, case, key: service.restore(key, into=case.ways[0]),
    ),
    "update": (
        lambda service, case, key: service.update(key, case.change()),
        lambda service, case, key: service.update(key, case.change(), into=case.ways[0]),
        lambda service, case, key: service.update(key, case.change(), into=case.ways[-1]),
    ),
    "update_json": (
        lambda service, case, key: service.update_json(key, case.change(), into=case.ways[0]),
    ),
    "update_where": (lambda service, case, key: service.update_where(case.change(), id=key),),
    "upsert": (put_one("upsert"),),
    "upsert_many": (put_one("upsert_many"),),
}
"""The writing methods: calls with the key of a row, which must not touch rows out of scope."""

FOR_DELETED = {"purge", "restore"}
"""What is there to find deleted rows: those of its own scope."""
ONLY_DELETED = {"restore"}
"""What finds live rows never."""


def methods(service: type[Service]) -> Iterator[str]:
    """Yield the public names of a service, those that it inherits included."""
    for name, _ in inspect.getmembers(service):
        if not name.startswith("_") and name not in service.__annotations__:
            yield name


def test_every_public_method_is_listed() -> None:
    """Whoever adds a method to services says here how it is kept in scope."""
    plain_values = {"count_cap", "create_model", "model", "public", "spare", "update_model"}
    listed = {*READS, *WRITES, *WITHOUT_ROWS}
    assert sorted(listed) == sorted({*methods(ServiceBase)} - plain_values)
    assert set() == (set(READS) & set(WRITES)) | (set(WITH_DELETED) - set(READS))


@pytest.fixture
async def side(database: Database) -> Side:
    """Our firm; there is another one of the same words, so that hidden rows are not alone."""
    ours, _ = await create_firms(database)
    return ours


def _services(case: Case) -> list[type[Service]]:
    """Return the service, and one for whom the database prints what it can."""
    printing: Any = type(
        f"{case.service.__name__}Printed", (case.service,), {"spare": "application"}
    )
    return [case.service, printing]


async def answers(database: Database, side: Side, given: list[Case], kind: Kind) -> dict[str, Any]:
    """Return what every reading method answers, by unit of work, service and method."""
    found: dict[str, Any] = {}
    for case in given:
        for service in _services(case):
            for name, calls in READS.items():
                if service is not case.service and not name.endswith("_json"):
                    continue
                more = [WITH_DELETED[name]] if kind != "deleted" and name in WITH_DELETED else []
                for number, call in enumerate([*calls, *more]):
                    label = f"{service.__name__}.{name} {number}"
                    async with database.unit(reading=True, scope=side.scope) as unit:
                        found[f"{label} alone"] = plain(await call(service(unit), case))
                    async with database.session(scope=side.scope) as session:
                        found[f"{label} in a session"] = plain(await call(service(session), case))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
async def test_reads_are_the_same_without_rows_out_of_scope(
    database: Database, side: Side, kind: Kind
) -> None:
    """Every reading method, response model, relation and filter; alone and in a transaction."""
    hidden = await hide(database, side, kind)
    given = cases(side, hidden)
    with_hidden = await answers(database, side, given, kind)
    await unhide(database, side, kind, hidden)
    without = await answers(database, side, given, kind)
    differing = {
        name: (answer, with_hidden[name])
        for name, answer in without.items()
        if answer != with_hidden[name]
    }
    assert {} == differing
    seen = repr([with_hidden, without])
    assert "ours 1" in seen
    assert [] == [word for word in ("hidden", "theirs") if _tells(seen, word)]


def _tells(seen: str, word: str) -> bool:
    """Tell whether a stored text is among the answers, where no filter of ours names it."""
    return any(
        f"{mark}{word}" in seen for mark in ("'name': '", "'title': '", '"name":"', '"title":"')
    )


@pytest.mark.parametrize("kind", KINDS)
async def test_writes_leave_rows_out_of_scope_alone(
    database: Database, side: Side, kind: Kind
) -> None:
    """Every writing method, with the key of such a row; with one in scope the same call writes."""
    hidden = await hide(database, side, kind)
    before = await snapshot(database)
    for case in cases(side, hidden):
        for name, calls in WRITES.items():
            for call in calls:
                if case.hidden is not None and not (kind == "deleted" and name in FOR_DELETED):
                    await _try(database, side, case, call, case.hidden)
                    after = await snapshot(database)
                    added = name in ADDING
                    changed = {
                        table: rows
                        for table, rows in after.items()
                        if [row for row in before[table] if row not in rows]
                        or (rows != before[table] and not added)
                    }
                    assert {} == changed, (case.service.__name__, name)
                    if added:
                        assert after != before
                        before = after


REFERRING = {*ADDING, "update", "update_json", "update_where"}
"""What takes values, and so foreign keys."""


@pytest.mark.parametrize("name", sorted(REFERRING))
async def test_nothing_can_be_made_to_refer_to_a_row_out_of_scope(
    database: Database, side: Side, name: str
) -> None:
    """The answer is that of a missing row, and nothing has been written."""
    hidden = await hide(database, side, "tenant")
    before = await snapshot(database)
    for case in cases(side, hidden):
        if case.refer is not None:
            given = replace(case, create=case.refer, change=case.refer)
            for call in WRITES[name]:
                with pytest.raises(ForeignKeyViolation) as caught:
                    async with database.unit(scope=side.scope) as unit:
                        await call(case.service(unit), given, case.key)
                assert caught.value.missing
                assert before == await snapshot(database)


def test_all_that_takes_values_is_listed() -> None:
    """A writing method either takes no values, or is asked to refer to rows out of scope."""
    assert sorted({*WRITES} - REFERRING) == [
        "delete",
        "delete_where",
        "increment",
        "purge",
        "restore",
    ]


async def _try(database: Database, side: Side, case: Case, call: Any, key: Any) -> None:
    """Let a method write what it will, in a unit of work that keeps it."""
    try:
        async with database.unit(scope=side.scope) as unit:
            said = repr(plain(await call(case.service(unit), case, key)))
    except SQLModelKitError as error:
        said = f"{error} {vars(error)}"
    assert "hidden" not in said


# A deleted row is referred to here, so that `purge` is refused; it has tests of its own.
@pytest.mark.parametrize("name", sorted({*WRITES} - {"purge"}))
async def test_the_same_calls_write_in_scope(database: Database, side: Side, name: str) -> None:
    """Otherwise the test above would prove nothing."""
    hidden = await hide(database, side, "deleted")
    for case in cases(side, hidden)[:2]:
        for call in WRITES[name]:
            before = await snapshot(database)
            key = case.hidden if name in ONLY_DELETED else case.key
            async with database.unit(scope=side.scope) as unit:
                await call(case.service(unit), case, key)
            assert before != await snapshot(database), (case.service.__name__, name)
            if name in ONLY_DELETED:
                async with database.unit(scope=side.scope) as unit:
                    await case.service(unit).delete(key)
