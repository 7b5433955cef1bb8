"""Rules about whose rows are seen hold on every path, not in some methods."""

import pytest
from sqlalchemy import Index, delete, text, update
from sqlmodel import Field, SQLModel, select

from sqlmodelkit import (
    ConfigError,
    Database,
    IntKey,
    NotFound,
    ServiceBase,
    SoftDelete,
    UniqueViolation,
)
from tests.conformance.guarding import guards
from tests.firms import (
    Member,
    MemberDeep,
    MemberService,
    Project,
    ProjectDetail,
    ProjectService,
    Task,
    TaskService,
    create_firms,
)


@guards(
    "The tenant's filter is put into the methods of a service, and other queries leave it out.",
    seen_in="applications",
)
@guards(
    "Policies hold for a model's own rows, and not for what is joined or loaded with them.",
    seen_in="FastCRUD",
)
async def test_nothing_of_another_tenant_is_seen(database: Database) -> None:
    """By verbs, relations, counts, filters and statements of one's own."""
    ours, theirs = await create_firms(database)
    async with database.session(scope=ours.scope) as session:
        projects, members = ProjectService(session), MemberService(session)
        with pytest.raises(NotFound):
            await projects.get(theirs.projects[0])
        rows = [
            *[row.name for row in await projects.all(load=["tasks", "lead", "labels"])],
            *[row.name for row in (await session.exec(select(Project))).all()],
            *[row.name for row in (await session.exec(select(Member).join(Project))).all()],
            str(await projects.all(into=ProjectDetail)),
            str(await members.all(into=MemberDeep)),
            (await members.page_json(into=MemberDeep)).decode(),
        ]
        assert not [text for text in rows if "theirs" in text]
        assert 1 == await projects.count() == await members.count()
        assert not await projects.exists(lead__name__contains="theirs")
        assert await session.get(Project, theirs.projects[0]) is None


@guards("A mass update or delete goes through all tenants' rows.", seen_in="applications")
async def test_nothing_of_another_tenant_is_written(database: Database) -> None:
    """Neither one by one nor many at once."""
    ours, theirs = await create_firms(database)
    async with database.transaction(scope=ours.scope) as session:
        await session.exec(update(Project).values(name="ours too"))
        await session.exec(delete(Task))
        with pytest.raises(NotFound):
            await ProjectService(session).delete(theirs.projects[0])
        with pytest.raises(NotFound):
            await TaskService(session).delete(theirs.tasks[0])
    async with database.session(scope=theirs.scope) as session:
        assert "theirs 1" == (await ProjectService(session).get(theirs.projects[0])).name
        assert await TaskService(session).exists()


@guards("Without a tenant everything is seen.", seen_in="applications")
async def test_without_a_tenant_nothing_is_answered(database: Database) -> None:
    """It is an error at once, and leaving the scope is said by name."""
    await create_firms(database)
    async with database.session() as session:
        with pytest.raises(ConfigError):
            await ProjectService(session).all()
        with pytest.raises(ConfigError):
            await session.exec(select(Project))


class GuardedAccountData(SQLModel):
    """What an account is made of."""

    email: str = Field(max_length=40)


class GuardedAccount(GuardedAccountData, IntKey, SoftDelete, table=True):
    """Unique among the live, where the database can."""

    __tablename__ = "g_account"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (
        Index(
            "uq_g_account_email",
            "email",
            unique=True,
            sqlite_where=text("deleted_at IS NULL"),
            postgresql_where=text("deleted_at IS NULL"),
        ),
    )


class GuardedAccounts(ServiceBase[GuardedAccount, GuardedAccountData, GuardedAccountData]):
    """Accounts."""


@guards("The address of a deleted account can never be used again.", seen_in="recipes")
@guards(
    "Unique by address and flag: the second deletion of the same address fails.", seen_in="recipes"
)
async def test_what_a_deleted_row_had_can_be_used_again(database: Database) -> None:
    """By a partial index, or by a generated column on MariaDB, which has none."""
    table = SQLModel.metadata.tables["g_account"]
    async with database.engine.begin() as connection:
        await connection.run_sync(SQLModel.metadata.create_all, tables=[table])
    data = GuardedAccountData(email="a@b.example")
    async with database.transaction() as session:
        accounts = GuardedAccounts(session)
        await accounts.delete((await accounts.create(data)).id)
        for _ in range(2):
            await accounts.delete((await accounts.create(data)).id)
        await accounts.create(data)
        with pytest.raises(UniqueViolation) as caught:
            async with session.savepoint():
                await accounts.restore(1)
        assert ("email",) == caught.value.fields
        assert 4 == await accounts.count(include_deleted=True)
