"""Two firms on the same tables, for the tests of scope. Every table's name starts with `f_`.

All that belongs to the first firm says `ours`, and all of the second `theirs`, so that a row of
the other one can be found in whatever is answered. Start at `Project`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Optional
from uuid import UUID

from pydantic import BaseModel, model_validator
from sqlalchemy import Table, UniqueConstraint
from sqlmodel import Field, Relationship, SQLModel

from sqlmodelkit import (
    Database,
    IntKey,
    Limit,
    Scope,
    Scoped,
    ServiceBase,
    SoftDelete,
    UUIDKey,
    Version,
)

EVERYBODY = Scope(leaving=["firm", "member"])


class Firm(UUIDKey, Scoped, table=True):
    """The tenant: a firm sees itself and no other."""

    __tablename__ = "f_firm"  # pyright: ignore[reportAssignmentType]
    __scopes__ = {"firm": "id"}

    name: str = Field(max_length=40)
    projects: list["Project"] = Relationship(back_populates="firm", passive_deletes="all")


class OfFirm(Scoped):
    """Gives a table its firm."""

    __scopes__ = {"firm": "firm_id"}

    firm_id: UUID = Field(default=None, nullable=False, foreign_key="f_firm.id", index=True)


class Member(OfFirm, IntKey, table=True):
    """The owner of tasks."""

    __tablename__ = "f_member"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (UniqueConstraint("firm_id", "name"),)

    name: str = Field(max_length=40)
    projects: list["Project"] = Relationship(back_populates="lead", passive_deletes="all")
    tasks: list["Task"] = Relationship(back_populates="member", passive_deletes="all")


class ProjectLabel(SQLModel, table=True):
    """A link without a firm: those of both its ends count."""

    __tablename__ = "f_project_label"  # pyright: ignore[reportAssignmentType]

    project_id: UUID = Field(foreign_key="f_project.id", ondelete="CASCADE", primary_key=True)
    label_id: int = Field(foreign_key="f_label.id", ondelete="CASCADE", primary_key=True)


class Project(OfFirm, UUIDKey, SoftDelete, Version, table=True):
    """A relation of each kind, a tenant, soft delete and a version."""

    __tablename__ = "f_project"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (UniqueConstraint("firm_id", "code"),)

    code: str = Field(max_length=20)
    name: str = Field(max_length=40)
    lead_id: int | None = Field(default=None, foreign_key="f_member.id")
    parent_id: UUID | None = Field(default=None, foreign_key="f_project.id")

    firm: Firm | None = Relationship(back_populates="projects")
    parent: Optional["Project"] = Relationship(
        sa_relationship_kwargs={"remote_side": "Project.id"},
    )
    lead: Member | None = Relationship(back_populates="projects")
    tasks: list["Task"] = Relationship(back_populates="project", passive_deletes="all")
    labels: list["Label"] = Relationship(back_populates="projects", link_model=ProjectLabel)


class Label(OfFirm, IntKey, table=True):
    """Joined to projects by a link table."""

    __tablename__ = "f_label"  # pyright: ignore[reportAssignmentType]

    name: str = Field(max_length=40)
    projects: list[Project] = Relationship(back_populates="labels", link_model=ProjectLabel)


class Task(OfFirm, IntKey, SoftDelete, table=True):
    """Two rules: the firm's, and that of the member whose task it is."""

    __tablename__ = "f_task"  # pyright: ignore[reportAssignmentType]
    __scopes__ = {"member": "member_id"}

    member_id: int = Field(default=None, nullable=False, foreign_key="f_member.id")
    project_id: UUID = Field(foreign_key="f_project.id")
    title: str = Field(max_length=40)
    hours: int = 0

    member: Member = Relationship(back_populates="tasks")
    project: Project | None = Relationship(back_populates="tasks")


class Remark(IntKey, table=True):
    """No rule of its own, and a foreign key to a table that has one."""

    __tablename__ = "f_remark"  # pyright: ignore[reportAssignmentType]

    project_id: UUID | None = Field(default=None, foreign_key="f_project.id")
    task_id: int | None = Field(default=None, foreign_key="f_task.id")
    text: str = Field(max_length=40)
    project: Project | None = Relationship()
    task: Task | None = Relationship()


class ProjectCreate(SQLModel):
    """What `POST` takes; the firm is for tests of those who send one."""

    code: str
    name: str
    lead_id: int | None = None
    firm_id: UUID | None = None


class ProjectUpdate(SQLModel):
    """What `PATCH` takes; the firm is for tests of those who send one."""

    code: str | None = None
    name: str | None = None
    lead_id: int | None = None
    firm_id: UUID | None = None


class TaskCreate(SQLModel):
    """What `POST` takes: neither the firm nor the member."""

    project_id: UUID
    title: str
    hours: int = 0


class TaskUpdate(SQLModel):
    """What `PATCH` takes."""

    project_id: UUID | None = None
    title: str | None = None
    hours: int | None = None


class RemarkCreate(SQLModel):
    """What `POST` and `PATCH` take."""

    text: str = ""
    project_id: UUID | None = None
    task_id: int | None = None


class Named(SQLModel):
    """What is answered of all that has a name."""

    name: str


class TaskPublic(SQLModel):
    """What is answered."""

    id: int
    title: str


class ProjectPublic(SQLModel):
    """The table's own columns."""

    id: UUID
    code: str
    name: str
    lead_id: int | None


class ProjectCard(ProjectPublic):
    """Relations to one, so that the database prints it where it can."""

    lead: Named | None


class ProjectDetail(ProjectCard):
    """Relations of each kind."""

    parent: Named | None
    tasks: list[TaskPublic]
    labels: list[Named]


class ProjectTop(ProjectPublic):
    """A part of a collection."""

    tasks: Annotated[list[TaskPublic], Limit(1, sort="-hours")]


class ProjectObjects(ProjectDetail):
    """The same, with a validator for which table rows are read."""

    @model_validator(mode="before")
    @classmethod
    def look(cls, value: Any) -> Any:
        """Look at the row and change nothing."""
        return value


class MemberDeep(Named):
    """Three levels of collections."""

    projects: list[ProjectDetail]
    tasks: list[TaskPublic]


class LabelDeep(Named):
    """Many-to-many, and a collection below."""

    projects: list[ProjectTop]


class TaskDeep(TaskPublic):
    """Two relations to one in a row."""

    project: ProjectCard | None


class RemarkPublic(SQLModel):
    """A relation out of a table without rules."""

    id: int
    text: str
    project: Named | None
    task: TaskPublic | None


class ProjectService(ServiceBase[Project, ProjectCreate, ProjectUpdate]):
    """Projects of the firm."""

    public = ProjectPublic


class TaskService(ServiceBase[Task, TaskCreate, TaskUpdate]):
    """Tasks of a member."""

    public = TaskPublic


class MemberService(ServiceBase[Member, Named, Named]):
    """Members of the firm."""

    public = Named


class LabelService(ServiceBase[Label, Named, Named]):
    """Labels of the firm."""

    public = Named


class FirmService(ServiceBase[Firm, Named, Named]):
    """Firms, of which each sees one."""

    public = Named


class RemarkService(ServiceBase[Remark, RemarkCreate, RemarkCreate]):
    """Remarks of everybody."""

    public = RemarkPublic


@dataclass(frozen=True)
class Side:
    """One of the two firms, with the keys of its rows.

    Attributes:
        word: What stands in every text of its rows.
        scope: The scope of its member.
        projects: Two projects; the second one is deleted.
        tasks: One for each project.
    """

    word: str
    firm: UUID
    member: int
    projects: tuple[UUID, UUID]
    tasks: tuple[int, int]
    label: int
    remark: int

    @property
    def scope(self) -> Mapping[str, Any]:
        """What a unit of work of the firm's member is limited to."""
        return {"firm": self.firm, "member": self.member}


TABLES: list[Table] = [
    SQLModel.metadata.tables[name] for name in SQLModel.metadata.tables if name.startswith("f_")
]


async def create_firms(database: Database) -> tuple[Side, Side]:
    """Create the tables of this module, and two firms with alike rows."""
    async with database.engine.begin() as connection:
        await connection.run_sync(SQLModel.metadata.create_all, tables=TABLES)
    return await add_firm(database, "ours"), await add_firm(database, "theirs")


async def add_firm(database: Database, word: str) -> Side:
    """Store a firm with two projects, the second of them deleted, and all that belongs to them."""
    async with database.transaction(scope=EVERYBODY) as session:
        firm = Firm(name=f"{word} firm")
        session.add(firm)
        await session.flush()
        member, label = Member(firm_id=firm.id, name=word), Label(firm_id=firm.id, name=word)
        session.add_all([member, label])
        await session.flush()
        projects = [
            Project(
                firm_id=firm.id, code=f"P{n}", name=f"{word} {n}", lead_id=member.id, labels=[label]
            )
            for n in (1, 2)
        ]
        session.add_all(projects)
        await session.flush()
        given: dict[str, Any] = {"firm_id": firm.id, "member_id": member.id}
        tasks = [
            Task(project_id=project.id, title=f"{word} {n}", hours=n, **given)
            for n, project in enumerate(projects, start=1)
        ]
        remark = Remark(text="about", project_id=projects[0].id)
        session.add_all([*tasks, remark])
        await session.flush()
        await ProjectService(session).delete(projects[1].id)
    return Side(
        word,
        firm.id,
        member.id or 0,
        (projects[0].id, projects[1].id),
        (tasks[0].id or 0, tasks[1].id or 0),
        label.id or 0,
        remark.id or 0,
    )


class Nothing(BaseModel):
    """No field at all."""
