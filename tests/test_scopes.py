"""Scope: rows of another tenant or owner are not there, whichever way they are asked for."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import delete, func, union_all, update
from sqlalchemy.orm import aliased, joinedload, selectinload, subqueryload
from sqlmodel import SQLModel, col, select

from sqlmodelkit import Database, IntKey, Scope, Scoped
from sqlmodelkit.errors import ConfigError, ForeignKeyViolation, InvalidValue, NotFound
from tests.firms import (
    EVERYBODY,
    Firm,
    FirmService,
    Label,
    Member,
    Project,
    ProjectCard,
    ProjectCreate,
    ProjectDetail,
    ProjectPublic,
    ProjectService,
    ProjectUpdate,
    Remark,
    RemarkCreate,
    RemarkPublic,
    RemarkService,
    Side,
    Task,
    TaskCreate,
    TaskService,
    create_firms,
)

Sides = tuple[Side, Side]


@pytest.fixture
async def sides(database: Database) -> Sides:
    """Our firm and theirs, on the same tables."""
    return await create_firms(database)


async def stored(database: Database, model: Any, key: Any) -> Any:
    """Return a row as it is, whoever it belongs to."""
    async with database.session(scope=EVERYBODY) as session:
        return await session.get(model, key)


async def test_a_row_of_another_tenant_is_not_found(database: Database, sides: Sides) -> None:
    """By its key it is as if it were not there, and its own firm sees it."""
    ours, theirs = sides
    async with database.session(scope=ours.scope) as session:
        projects = ProjectService(session)
        assert "ours 1" == (await projects.get(ours.projects[0])).name
        for key in theirs.projects:
            with pytest.raises(NotFound):
                await projects.get(key)
            with pytest.raises(NotFound):
                await projects.get(key, into=ProjectPublic, include_deleted=True)
            assert await session.get(Project, key) is None
    async with database.session(scope=theirs.scope) as session:
        assert "theirs 1" == (await ProjectService(session).get(theirs.projects[0])).name


async def test_a_table_with_a_rule_needs_a_value(database: Database, sides: Sides) -> None:
    """Without one everything is refused, and nothing is ever answered in full."""
    for scope in (None, {}, {"member": 1}, {"tenant": uuid4()}, {"firm": "no key"}):
        async with database.session(scope=scope) as session:
            projects = ProjectService(session)
            with pytest.raises(ConfigError, match="firm"):
                await projects.all()
            with pytest.raises(ConfigError, match="firm"):
                await projects.all(into=ProjectPublic)
            with pytest.raises(ConfigError, match="firm"):
                await projects.count()
            with pytest.raises(ConfigError, match="firm"):
                await session.exec(select(Project))
            with pytest.raises(ConfigError, match="firm"):
                await session.get(Project, sides[0].projects[0])
            with pytest.raises(ConfigError, match="firm"):
                await session.exec(update(Project).values(name="x"))
            with pytest.raises(ConfigError, match="firm"):
                await session.exec(delete(Project))
            with pytest.raises(ConfigError, match="firm"):
                await projects.create(ProjectCreate(code="x", name="x"))
            with pytest.raises(ConfigError, match="firm"):
                await projects.create(ProjectCreate(code="x", name="x"), into=ProjectPublic)
            with pytest.raises(ConfigError, match="firm"):
                await RemarkService(session).all(into=RemarkPublic)
            with pytest.raises(ConfigError, match="firm"):
                await RemarkService(session).count(project__name="theirs 1")
            assert 2 == await RemarkService(session).count()


async def test_every_rule_of_a_table_holds(database: Database, sides: Sides) -> None:
    """The firm alone is not enough for a table that also has an owner."""
    ours, theirs = sides
    async with database.session(scope={"firm": ours.firm}) as session:
        with pytest.raises(ConfigError, match="member"):
            await TaskService(session).all()
    async with database.session(scope={"firm": ours.firm, "member": theirs.member}) as session:
        assert [] == await TaskService(session).all()
    async with database.session(scope=Scope({"firm": ours.firm}, leaving=["member"])) as session:
        assert {"ours 1", "ours 2"} == {task.title for task in await TaskService(session).all()}


async def test_who_leaves_a_scope_by_name_sees_all(database: Database, sides: Sides) -> None:
    """Leaving is for the whole unit of work."""
    async with database.session(scope=EVERYBODY) as session:
        assert 2 == await ProjectService(session).count()
        assert 2 == await FirmService(session).count()
        assert 4 == await ProjectService(session).count(include_deleted=True)


async def test_one_compiled_statement_serves_every_tenant_its_own(
    database: Database, sides: Sides
) -> None:
    """The value is a parameter: what was compiled for one firm answers the next one rightly."""
    ProjectService._statements._kept.clear()
    sizes, ways = [], (ProjectPublic, ProjectCard, ProjectDetail)
    for _ in range(3):
        for side in sides:
            async with database.unit(reading=True, scope=side.scope) as unit:
                projects = ProjectService(unit)
                for into in ways:
                    assert [f"{side.word} 1"] == [row.name for row in await projects.all(into=into)]
                    text = await projects.all_json(into=into)
                    assert side.word.encode() in text
                    assert 1 == text.count(b'"code":')
                assert 1 == await projects.count()
            async with database.session(scope=side.scope) as session:
                for _ in range(2):
                    found = await session.exec(
                        select(Project).options(selectinload(Project.tasks))  # type: ignore[arg-type]
                    )
                    (row,) = found.all()
                    assert [f"{side.word} 1"] == [row.name, *(t.title for t in row.tasks)][:1]
                    assert [f"{side.word} 1"] == [task.title for task in row.tasks]
        sizes.append(len(ProjectService._statements._kept))
    assert sizes[0] == sizes[-1]
    compiled = ProjectService._statements._kept.values()
    for side in sides:
        baked = [c.text for c in compiled if side.firm.hex in c.text.replace("-", "")]
        assert [] == baked
        constants = [p for c in compiled for p in c.parameters if p[1] == side.firm]
        assert [] == constants


@pytest.mark.parametrize("option", [selectinload, joinedload, subqueryload])
async def test_relations_lead_to_rows_in_scope_only(
    database: Database, sides: Sides, option: Any
) -> None:
    """Even where a foreign key leads out of it, as left by who wrote outside of the scope."""
    ours, theirs = sides
    async with database.transaction(scope=EVERYBODY) as session:
        project = await session.get_one(Project, ours.projects[0])
        project.lead_id = theirs.member
        label = await session.get_one(Label, theirs.label)
        await session.refresh(project, ["labels"])
        project.labels.append(label)
        session.add(Task(
            firm_id=theirs.firm, member_id=theirs.member, project_id=project.id, title="theirs 9"
        ))  # fmt: skip
    async with database.session(scope=ours.scope) as session:
        relations: list[Any] = [Project.lead, Project.labels, Project.tasks]
        statement = select(Project).options(*(option(each) for each in relations))
        row = (await session.exec(statement)).unique().one()
        assert row.lead is None
        assert ["ours"] == [label.name for label in row.labels]
        assert ["ours 1"] == [task.title for task in row.tasks]
    async with database.session(scope=ours.scope) as session:
        projects = ProjectService(session)
        row = await projects.get(ours.projects[0], load=["lead", "labels.projects", "tasks.member"])
        assert (None, ["ours"]) == (row.lead, [label.name for label in row.labels])
        shown = await projects.get(ours.projects[0], into=ProjectDetail)
        assert (None, 1, 1) == (shown.lead, len(shown.labels), len(shown.tasks))
        assert 0 == await projects.count(lead__name="theirs")
        assert 0 == await projects.count(labels__name="theirs")
        assert 1 == await projects.count(labels__name="ours")


async def test_plain_statements_of_a_session_are_in_scope(database: Database, sides: Sides) -> None:
    """Wherever the table stands: joins, aliases, subqueries, unions, CTEs."""
    ours, _ = sides
    other = aliased(Project)
    async with database.session(scope=ours.scope) as session:
        assert ["ours 1"] == list((await session.exec(select(Project.name))).all())
        assert ["ours 1"] == list((await session.exec(select(other.name))).all())
        assert 1 == (await session.exec(select(func.count()).select_from(Project))).one()
        joined = select(Remark.text, Project.name).outerjoin(Project).order_by(col(Remark.id))
        assert ["ours 1", None] == [row[1] for row in await session.exec(joined)]
        loose: Any = union_all(select(Project.name), select(other.name))
        assert ["ours 1"] * 2 == list((await session.exec(loose)).scalars())
        cte = select(Project.id, Project.name).cte()
        assert ["ours 1"] == list((await session.exec(select(cte.c.name))).all())
        inner = select(Project.id)
        seen = select(func.count()).select_from(Remark).where(col(Remark.project_id).in_(inner))
        assert 1 == (await session.exec(seen)).one()
        streamed = await session.stream(select(Project.name))
        assert ["ours 1"] == [name async for name in streamed.scalars()]
        keys = [key for side in sides for key in side.projects]
        chosen = select(Project.name).where(col(Project.id).in_(keys))
        assert ["ours 1"] == list((await session.exec(chosen)).all())


async def test_updates_and_deletes_of_a_session_are_in_scope(
    database: Database, sides: Sides
) -> None:
    """They touch rows of the scope only, and rows in hand are changed with them."""
    ours, theirs = sides
    async with database.transaction(scope=ours.scope) as session:
        row = await ProjectService(session).get(ours.projects[0])
        changed = await session.exec(update(Project).values(name="changed"))
        assert (1, "changed") == (changed.rowcount, row.name)
        moved = update(Project).values(name="x").where(
            col(Project.lead_id).in_(select(Member.id).where(Member.name == "theirs"))
        )  # fmt: skip
        assert 0 == (await session.exec(moved)).rowcount
        gone = await session.exec(delete(Task).where(col(Task.hours) == 1))
        assert 1 == gone.rowcount
    assert "theirs 1" == (await stored(database, Project, theirs.projects[0])).name
    assert (await stored(database, Task, theirs.tasks[0])).hours == 1


async def test_a_new_row_gets_the_scope_of_its_unit_of_work(
    database: Database, sides: Sides
) -> None:
    """By the service, by `session.add`, by nested objects."""
    ours, _ = sides
    async with database.transaction(scope=ours.scope) as session:
        projects = ProjectService(session)
        made = [
            (await projects.create(ProjectCreate(code="A", name="a"))).id,
            (await projects.create(ProjectCreate(code="B", name="b"), into=ProjectPublic)).id,
            (await projects.create_many([ProjectCreate(code="C", name="c")]))[0].id,
        ]
        task = Task(title="nested")  # type: ignore[call-arg]
        nested = Project(code="D", name="d", tasks=[task])
        session.add(nested)
        await session.flush()
        made.append(nested.id)
        assert ours.firm == task.firm_id
    async with database.unit(scope=ours.scope) as unit:
        data = ProjectCreate(code="E", name="e", firm_id=ours.firm)
        text = await ProjectService(unit).create_json(data, into=ProjectPublic, last=True)
        made.append(ProjectPublic.model_validate_json(text).id)
    for key in made:
        assert ours.firm == (await stored(database, Project, key)).firm_id


async def test_a_row_cannot_be_put_into_another_scope(database: Database, sides: Sides) -> None:
    """Neither a new one nor one that is changed, in whatever way."""
    ours, theirs = sides
    key = ours.projects[0]
    async with database.transaction(scope=ours.scope) as session:
        projects = ProjectService(session)
        data = ProjectCreate(code="X", name="x", firm_id=theirs.firm)
        for attempt in (
            projects.create(data),
            projects.create(data, into=ProjectPublic),
            projects.create_many([data]),
            projects.update(key, ProjectUpdate(firm_id=theirs.firm)),
            projects.update(key, ProjectUpdate(firm_id=theirs.firm), into=ProjectPublic),
            projects.update(key, ProjectUpdate(firm_id=None)),
            session.exec(update(Project).values(firm_id=theirs.firm)),
            session.exec(update(Project).values({Project.firm_id: theirs.firm})),
            session.exec(update(Project).values(firm_id=col(Project.parent_id))),
            session.exec(update(Project), params={"firm_id": theirs.firm}),
        ):
            with pytest.raises(InvalidValue) as caught:
                await attempt
            assert ("firm_id",) == caught.value.fields
        row = await projects.get(key)
        row.firm_id = theirs.firm
        with pytest.raises(InvalidValue):
            await session.flush()
        await session.rollback()
        session.add(Project(code="X", name="x", firm_id=theirs.firm))
        with pytest.raises(InvalidValue):
            await session.flush()
        await session.rollback()
    async with database.unit(scope=ours.scope) as unit:
        with pytest.raises(InvalidValue):
            await ProjectService(unit).update_json(
                key, ProjectUpdate(firm_id=theirs.firm), into=ProjectPublic, last=True
            )
    assert ours.firm == (await stored(database, Project, key)).firm_id


async def test_a_row_out_of_scope_cannot_be_changed(database: Database, sides: Sides) -> None:
    """Every writing verb finds nothing."""
    ours, theirs = sides
    live, deleted = theirs.projects
    data = ProjectUpdate(name="stolen")
    async with database.transaction(scope=ours.scope) as session:
        projects = ProjectService(session)
        for attempt in (
            projects.update(live, data),
            projects.update(live, data, into=ProjectPublic),
            projects.update_json(live, data, into=ProjectPublic),
            projects.delete(live),
            projects.restore(deleted),
            projects.restore(deleted, into=ProjectPublic),
        ):
            with pytest.raises(NotFound):
                await attempt
    async with database.unit(scope=ours.scope) as unit:
        with pytest.raises(NotFound):
            await ProjectService(unit).update_json(live, data, into=ProjectPublic, last=True)
    row = await stored(database, Project, live)
    assert ("theirs 1", 1) == (row.name, row.version)


async def test_a_foreign_key_cannot_lead_out_of_the_scope(database: Database, sides: Sides) -> None:
    """It is refused with the words of a missing parent."""
    ours, theirs = sides
    mine = ours.projects[0]

    def refused(error: ForeignKeyViolation, field: str) -> None:
        assert ((field,), True) == (error.fields, error.missing)
        assert "theirs" not in str(error)

    async with database.transaction(scope=ours.scope) as session:
        service, remarks = ProjectService(session), RemarkService(session)
        foreign = ProjectCreate(code="X", name="x", lead_id=theirs.member)
        for attempt in (
            lambda: service.create(foreign),
            lambda: service.create(foreign, into=ProjectPublic),
            lambda: service.create_many([foreign]),
            lambda: service.update(mine, ProjectUpdate(lead_id=theirs.member)),
            lambda: service.update_json(
                mine, ProjectUpdate(lead_id=theirs.member), into=ProjectPublic
            ),
        ):
            with pytest.raises(ForeignKeyViolation) as caught:
                async with session.savepoint():
                    await attempt()
            refused(caught.value, "lead_id")
        for another in (
            lambda: remarks.create(RemarkCreate(project_id=theirs.projects[0])),
            lambda: remarks.create(RemarkCreate(project_id=theirs.projects[0]), into=RemarkPublic),
            lambda: remarks.update(ours.remark, RemarkCreate(project_id=theirs.projects[0])),
            lambda: remarks.create(RemarkCreate(project_id=uuid4())),
        ):
            with pytest.raises(ForeignKeyViolation) as caught:
                async with session.savepoint():
                    await another()
            refused(caught.value, "project_id")
        task = TaskCreate(project_id=theirs.projects[0], title="x")
        with pytest.raises(ForeignKeyViolation) as caught:
            async with session.savepoint():
                await TaskService(session).create(task)
        refused(caught.value, "project_id")


async def test_a_row_from_elsewhere_is_not_taken_in(database: Database, sides: Sides) -> None:
    """Rows of another session can be added to one, and are refused when it writes or refreshes."""
    ours, theirs = sides

    async def foreign(model: Any, key: Any) -> Any:
        async with database.session(scope=theirs.scope) as other:
            return await other.get_one(model, key)

    async with database.session(scope=ours.scope) as session:
        row = await foreign(Project, theirs.projects[0])
        session.add(row)
        assert await session.get(Project, theirs.projects[0]) is None
        with pytest.raises(NotFound):
            await session.refresh(row)
        row.name = "stolen"
        with pytest.raises(NotFound):
            await session.flush()
    async with database.session(scope=ours.scope) as session:
        row = await foreign(Project, theirs.projects[0])
        await session.delete(row)
        with pytest.raises(NotFound):
            await session.flush()
    async with database.session(scope=ours.scope) as session:
        mine = await session.get_one(Project, ours.projects[0])
        mine.lead = await foreign(Member, theirs.member)
        with pytest.raises(NotFound):
            await session.flush()
    async with database.session(scope=ours.scope) as session:
        await session.get_one(Project, ours.projects[0])
        session.add(Project(code="N", name="n", labels=[await foreign(Label, theirs.label)]))
        with pytest.raises(NotFound):
            await session.flush()


async def test_what_knows_no_scope_is_refused(database: Database, sides: Sides) -> None:
    """Statements that SQLAlchemy's criteria do not reach are an error, and not a leak."""
    ours, theirs = sides
    table: Any = Project.__table__  # type: ignore[attr-defined]
    many = [{"id": theirs.projects[0], "name": "stolen"}]
    async with database.session(scope=ours.scope) as session:
        for statement, parameters in (
            (select(table.c.name), None),
            (select(func.count()).select_from(table), None),
            (table.insert().values(code="x", name="x", firm_id=theirs.firm), None),
            (table.update().values(name="x"), None),
            (table.delete(), None),
            (update(Project), many),
            (SQLModel.metadata.tables["f_label"].select(), None),
            (select(Project).from_statement(table.select()), None),
        ):
            loose: Any = statement
            with pytest.raises(ConfigError, match="cannot be kept to it"):
                await session.exec(loose, params=parameters)
        for method in ("bulk_insert_mappings", "bulk_update_mappings"):
            with pytest.raises(ConfigError, match="bulk"):
                await session.run_sync(lambda s, m=method: getattr(s, m)(Project, many))  # type: ignore[misc]
        with pytest.raises(ConfigError, match="bulk"):
            await session.run_sync(lambda s: s.bulk_save_objects([Project(code="x", name="x")]))
    async with database.session(scope=EVERYBODY) as session:
        assert 4 == len((await session.exec(select(table.c.name))).all())


async def test_a_row_and_its_new_parent_are_written_together(
    database: Database, sides: Sides
) -> None:
    """A foreign key to a row of the same flush is no missing parent."""
    async with database.transaction(scope=sides[0].scope) as session:
        project = Project(code="N", name="n")
        session.add_all([Remark(project_id=project.id, text="first"), project])
        await session.flush()
        assert 2 == len((await session.exec(select(Remark).join(Project))).all())


async def test_a_scope_says_what_it_means(database: Database, sides: Sides) -> None:
    """What is no value, or a contradiction, is refused when it is said."""
    wrong: list[tuple[Any, ...]] = [({"firm": None},), ({"firm": 1}, ["firm"]), ({}, "firm")]
    for arguments in wrong:
        with pytest.raises(ConfigError):
            Scope(*arguments)
    for other in (Scope({"firm": 2}), Scope(leaving=["firm"])):
        with pytest.raises(ConfigError):
            Scope({"firm": 1}).joined(other)
    assert {"a": 1, "b": 2} == dict(Scope({"a": 1}).joined(Scope({"a": 1, "b": 2})).values)


async def test_a_unit_of_work_enters_a_scope_once(database: Database, sides: Sides) -> None:
    """A value may come later, and none is exchanged for another."""
    ours, theirs = sides
    async with database.unit() as unit:
        with pytest.raises(ConfigError):
            await ProjectService(unit).count()
        unit.enter(ours.scope)
        assert 1 == await ProjectService(unit).count()
        with pytest.raises(ConfigError, match="another firm"):
            unit.enter(theirs.scope)
        await unit.session.connection()
        with pytest.raises(ConfigError, match="another firm"):
            unit.session.enter({"firm": theirs.firm})
        assert 1 == await ProjectService(unit.session).count()


def test_rules_are_declared_on_scoped_models_only() -> None:
    """A declaration that nobody would read is refused when the class is made."""
    with pytest.raises(ConfigError, match="Derive it from Scoped"):

        class Lost(IntKey, table=True):
            __tablename__ = "f_lost"  # pyright: ignore[reportAssignmentType]
            __scopes__ = {"firm": "firm_id"}

            firm_id: UUID


async def test_values_are_read_in_the_type_of_their_column(
    database: Database, sides: Sides
) -> None:
    """A text from a header is as good as the key itself, and another text is no key at all."""
    ours, _ = sides
    async with database.session(scope={"firm": str(ours.firm), "member": ours.member}) as session:
        projects = ProjectService(session)
        assert ["ours 1"] == [row.name for row in await projects.all()]
        assert ours.firm == (await projects.create(ProjectCreate(code="T", name="t"))).firm_id
    async with database.session(scope={"firm": ours.firm, "member": f"{ours.member}x"}) as session:
        with pytest.raises(ConfigError, match="member"):
            await TaskService(session).all()


async def test_a_firm_sees_itself_only(database: Database, sides: Sides) -> None:
    """The tenant's own table is limited by its key."""
    ours, theirs = sides
    async with database.session(scope=ours.scope) as session:
        assert ["ours firm"] == [firm.name for firm in await FirmService(session).all()]
        assert await session.get(Firm, theirs.firm) is None
        assert Scoped in Firm.__mro__
