"""The list for production: each check has a case that fails and one that passes."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from pydantic import BaseModel
from sqlalchemy import Double, Index, MetaData, text
from sqlmodel import Field, Relationship, SQLModel

from sqlmodelkit import ConfigError, Database, DatabaseSettings, IntKey, ServiceBase
from sqlmodelkit.doctor import CHECKS, Finding, Subject, examine, subject_of
from sqlmodelkit.fastapi import install
from sqlmodelkit.migrations import Schema, init, revision, upgrade
from sqlmodelkit.projects import Project


class ClinicTables(SQLModel):
    """Has the tables of this module, apart from all others."""

    metadata = SQLModel.metadata.__class__(naming_convention=SQLModel.metadata.naming_convention)


class Ward(ClinicTables, IntKey, table=True):
    """A parent whose collection knows its other side."""

    name: str = Field(max_length=40, index=True)
    patients: list["Patient"] = Relationship(back_populates="ward")


class Patient(ClinicTables, IntKey, table=True):
    """A child with an index on its foreign key, and one without."""

    name: str = Field(max_length=40)
    password: str = Field(max_length=40)
    ward_id: int | None = Field(default=None, foreign_key="ward.id", index=True)
    doctor_id: int | None = Field(default=None, foreign_key="physician.id")
    ward: Ward | None = Relationship(back_populates="patients")
    doctor: "Physician" = Relationship()


class Physician(ClinicTables, IntKey, table=True):
    """Knows nothing of its patients."""

    name: str = Field(max_length=40)


class WardIn(SQLModel):
    """What a ward is made of."""

    name: str


class WardPublic(WardIn):
    """What clients see of a ward."""

    id: int


class WardService(ServiceBase[Ward, WardIn, WardIn]):
    """Lets clients ask by a column that has an index."""

    public = WardPublic
    filterable = ("name",)
    sortable = ("name", "id")


class PatientPublic(SQLModel):
    """Shows too much."""

    id: int
    password: str


class PatientService(ServiceBase[Patient, WardIn, WardIn]):
    """Lets clients ask by a column that has no index."""

    public = PatientPublic
    filterable = ("name__startswith", "ward_id")


class PatientLoop(SQLModel):
    """Shows a ward that shows its patients."""

    ward: "WardLoop | None"


class WardLoop(SQLModel):
    """Shows patients that show their ward."""

    patients: list[PatientLoop]


PatientLoop.model_rebuild()


class LoopService(ServiceBase[Patient, WardIn, WardIn]):
    """Cannot be read."""

    public = PatientLoop


def subject(url: str = "sqlite://", **settings: Any) -> Subject:
    """Return a subject with nothing but settings and a good service."""
    found = DatabaseSettings(url=url, **settings)
    return Subject(settings=found, metadata=Ward.metadata, services=(WardService,))


async def run(name: str, about: Subject) -> Finding:
    """Run one check."""
    (finding,) = await examine(about, only=[name])
    return finding


PG = "postgresql://u@localhost/x"


@pytest.mark.parametrize(
    ("name", "good", "bad", "fix"),
    [
        ("sqlite", subject(PG), subject(), "Set DATABASE_URL=postgresql://"),
        (
            "pre-ping",
            subject(PG),
            subject(PG, pool_pre_ping=False),
            "DB_POOL_PRE_PING=true",
        ),
        ("timeouts", subject(PG), subject(PG, lock_timeout=0), "Set DB_LOCK_TIMEOUT=30"),
        ("echo", subject(), subject(echo=True), "Set DB_ECHO=false"),
        (
            "filter-indexes",
            subject(),
            replace(subject(), services=(PatientService,)),
            "index=True on the field of patient.name",
        ),
        (
            "back-populates",
            replace(subject(), metadata=MetaData()),
            subject(),
            'back_populates="…"',
        ),
        ("responses", subject(), replace(subject(), services=(LoopService,)), ""),
        (
            "secrets",
            subject(),
            replace(subject(), services=(PatientService,)),
            "Take password out of PatientPublic",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_what_is_wrong_is_told_with_its_fix(
    name: str, good: Subject, bad: Subject, fix: str
) -> None:
    """And what is right passes."""
    assert "passed" == (await run(name, good)).status
    found = await run(name, bad)
    assert ("failed", True) == (found.status, bool(found.why))
    assert fix in found.problems[0][1]


async def test_every_check_has_a_test() -> None:
    """Each is named in this module, or there would be none for it."""
    written = Path(__file__).read_text()  # noqa: ASYNC240 - nobody else is served
    assert [] == [check.name for check in CHECKS if f'"{check.name}"' not in written]


async def test_the_driver_has_to_be_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise the extra is named."""
    assert "passed" == (await run("driver", subject(PG))).status
    monkeypatch.setattr("sqlmodelkit.doctor.connecting.find_spec", lambda name: None)
    found = await run("driver", subject(PG))
    assert (("asyncpg is not installed.", "pip install 'sqlmodelkit[postgres]'"),) == found.problems


@pytest.mark.db
async def test_the_pools_of_all_workers_have_to_fit(database_url: str, engine_name: str) -> None:
    """The formula and its numbers are told in either case."""
    good = await run("pool", replace(subject(database_url), workers=2))
    assert ("passed", True) == (good.status, good.said.startswith("2 worker(s) x (5 + 10) = 30"))
    bad = await run("pool", replace(subject(database_url), workers=900))
    assert ("passed" if engine_name == "sqlite" else "failed") == bad.status
    assert engine_name == "sqlite" or "Set DB_POOL_SIZE=1 and" in bad.problems[0][1]


@pytest.mark.db
async def test_the_pool_closes_connections_before_the_server(
    database_url: str, engine_name: str
) -> None:
    """MySQL and MariaDB close what is idle; the others do not."""
    assert "passed" == (await run("recycle", subject(database_url))).status
    late = await run("recycle", subject(database_url, pool_recycle=-1))
    assert ("failed" if engine_name == "mariadb" else "passed") == late.status
    if engine_name == "postgresql":
        await _alter(database_url, "idle_session_timeout = '60s'")
        late = await run("recycle", subject(database_url))
        assert (("failed", "Set DB_POOL_RECYCLE=30.")) == (late.status, late.problems[0][1])


@pytest.mark.db
async def test_behind_pgbouncer_the_server_has_to_have_the_limits(
    database_url: str, engine_name: str
) -> None:
    """They are asked for, since none is passed on; the fix is what the server takes."""
    if engine_name != "postgresql":
        return
    about = subject(database_url, pooler="pgbouncer")
    found = await run("timeouts", about)
    assert ("failed", 3) == (found.status, len(found.problems))
    fixes = [fix.partition(";")[0] for _, fix in found.problems]
    assert fixes[0].endswith("SET statement_timeout = '30s'")
    for fix in fixes:
        await _alter(database_url, fix.partition(" SET ")[2])
    found = await run("timeouts", about)
    assert ("passed", "statement_timeout 30 s, lock_timeout 10 s") == (
        found.status,
        found.said.rpartition(",")[0],
    )


async def _alter(database_url: str, setting: str) -> None:
    """Have a database's new connections begin with a setting."""
    db = Database(database_url)
    async with db.transaction() as session:
        name = db.engine.url.database
        await (await session.connection()).execute(text(f'ALTER DATABASE "{name}" SET {setting}'))
    await db.close()


@pytest.mark.db
async def test_somebody_has_to_tell_of_slow_statements(database_url: str, engine_name: str) -> None:
    """A hook of the database does, or the server."""
    about = subject(database_url)
    quiet = await run("slow-log", about)
    server_tells = quiet.status == "passed" and engine_name != "sqlite"
    assert server_tells or "hooks=[slow_log()]" in quiet.problems[0][1]
    watched = replace(about, db=Database(database_url, hooks=[lambda event: None]))
    assert "passed" == (await run("slow-log", watched)).status


async def test_foreign_keys_need_an_index() -> None:
    """MariaDB makes one itself."""
    found = await run("foreign-key-indexes", subject(PG))
    assert (
        (
            "patient (doctor_id) refers to physician without an index.",
            "Put index=True on the field of patient.doctor_id.",
        ),
    ) == found.problems
    assert "passed" == (await run("foreign-key-indexes", subject("mysql://u@localhost/x"))).status


async def test_what_a_response_leaves_out_is_no_secret_told() -> None:
    """But what clients see under the name of one is."""

    class Told(SQLModel):
        password_hash: str = Field(default="", exclude=True)
        pin: str = Field(default="", alias="password")

    class Telling(ServiceBase[Patient, WardIn, WardIn]):
        public = Told

    found = await run("secrets", replace(subject(), services=(Telling,)))
    assert ["Told.pin is shown."] == [problem for problem, _ in found.problems]


async def test_an_index_of_some_rows_finds_no_children() -> None:
    """Nor one that looks nothing up; one of all that refer to something does."""

    class Wing(SQLModel):
        metadata = MetaData()

    class Hall(Wing, IntKey, table=True):
        __table_args__ = (
            Index("ix_some", "one_id", postgresql_where=text("is_open")),
            Index("ix_gin", "two_id", postgresql_using="gin"),
            Index("ix_given", "three_id", postgresql_where=text("three_id IS NOT NULL")),
        )
        is_open: bool = True
        one_id: int = Field(foreign_key="hall.id")
        two_id: int = Field(foreign_key="hall.id")
        three_id: int | None = Field(default=None, foreign_key="hall.id")

    found = await run("foreign-key-indexes", replace(subject(PG), metadata=Hall.metadata))
    assert ["hall.one_id", "hall.two_id"] == [
        fix.rpartition(" ")[2].rstrip(".") for _, fix in found.problems
    ]


async def test_what_is_behind_relations_needs_an_index_too() -> None:
    """But not what looks for a part of a text, which no ordinary index serves."""

    class Behind(ServiceBase[Patient, WardIn, WardIn]):
        public = PatientPublic
        filterable = ("ward__name", "doctor__name__startswith", "name__contains")

    found = await run("filter-indexes", replace(subject(), services=(Behind,)))
    assert (
        "Behind lets clients ask by doctor__name, which has no index.",
        "Put index=True on the field of physician.name.",
    ) == found.problems[0]
    assert (1, "2 declared fields") == (len(found.problems), found.said)


async def test_an_application_says_whether_it_can_serve() -> None:
    """By a route that ends in /ready; without an application nothing is known."""
    app = FastAPI()
    about = replace(subject(), app=app)
    assert "failed" == (await run("health", about)).status
    install(app, Database("sqlite://"))
    assert ("passed", "/health/ready") == ((f := await run("health", about)).status, f.said)
    assert "skipped" == (await run("health", subject())).status


async def test_routes_answer_no_tables_and_no_secrets() -> None:
    """Those of an included router neither."""

    class Inner(BaseModel):
        api_key: str

    app, router = FastAPI(), APIRouter(prefix="/inner")

    @router.get("/ward")
    async def ward() -> Ward:
        raise NotImplementedError

    @router.get("/keys")
    async def keys() -> list[Inner]:
        raise NotImplementedError

    app.include_router(router)
    about = replace(subject(), app=app)
    assert ["/inner/ward answers the table Ward."] == [
        problem for problem, _ in (await run("responses", about)).problems
    ]
    assert ["Inner.api_key is shown."] == [
        problem for problem, _ in (await run("secrets", about)).problems
    ]


@pytest.mark.db
async def test_migrations_have_to_be_run_and_to_say_what_the_models_say(
    database_url: str, tmp_path: Path
) -> None:
    """A database that is behind, and one that differs."""
    settings = DatabaseSettings(url=database_url)
    schema = Schema(Ward.metadata, tmp_path / "migrations", settings)
    init(schema.directory)
    about = replace(subject(database_url), schema=schema)
    await revision(schema, "begin")
    behind = await run("migrations", about)
    assert ("failed", "sqlmodelkit db upgrade") == (behind.status, behind.problems[0][1])
    assert "failed" == (await run("drift", about)).status
    await upgrade(schema)
    assert "passed" == (await run("migrations", about)).status
    assert "passed" == (await run("drift", about)).status
    db = Database(database_url)
    async with db.engine.begin() as connection:
        await connection.execute(text("DROP TABLE patient"))
    await db.close()
    assert "failed" == (await run("drift", about)).status
    assert ["skipped", "skipped"] == [
        (await run(name, subject())).status for name in ("migrations", "drift")
    ]


async def test_passwords_do_not_belong_into_the_source(tmp_path: Path) -> None:
    """Nor does a `.env` that git would take; examples and this machine do no harm."""
    about = replace(subject(), root=tmp_path)
    (tmp_path / "good.py").write_text(
        'A = "postgresql://app:secret@localhost/x"\nB = "postgresql://app:${PASSWORD}@db.example/x"\n'
    )
    assert "passed" == (await run("credentials", about)).status
    (tmp_path / "bad.toml").write_text('\nurl = "mysql+asyncmy://app:t0ps3cr3t@db.example.org/x"\n')
    (tmp_path / ".git").mkdir()
    (tmp_path / ".env").write_text("DATABASE_URL=sqlite://")
    found = await run("credentials", about)
    assert [
        ".env is not in .gitignore.",
        "bad.toml:2 has the password of db.example.org.",
    ] == [problem for problem, _ in found.problems]
    assert "t0ps3cr3t" not in str(found)
    assert "skipped" == (await run("credentials", subject())).status


@pytest.mark.parametrize(
    "line",
    [
        'engine = create_engine("postgresql://db.example.org/x", connect_args={"password": "t0ps3cr3t"})',
        'url = URL.create("postgresql", host="db.example.org", password="t0ps3cr3t")',
        'connection = asyncpg.connect(host="db.example.org", password="t0ps3cr3t")',
        'SECRET_KEY = "t0ps3cr3t"',
        'class Settings(BaseSettings):\n    secret_key: str = "t0ps3cr3t"',
        'class Settings(BaseSettings):\n    api_key: SecretStr = SecretStr("t0ps3cr3t")',
        'class Settings(BaseSettings):\n    api_key: SecretStr = Field(default=SecretStr("t0ps3cr3t"))',
        'app.config["SECRET_KEY"] = "t0ps3cr3t"',
        'self.password = "t0ps3cr3t"',
        'key = os.environ.get("JWT_SECRET", "t0ps3cr3t")',
        'key = os.getenv("JWT_SECRET", "t0ps3cr3t")',
        'def connect(host, password="t0ps3cr3t"): ...',
        'GITHUB_TOKEN = "t0ps3cr3t-t0ps3cr3t"',
        'KEY = """\n-----BEGIN RSA PRIVATE KEY-----\nt0ps3cr3t\n"""',
    ],
)
async def test_secrets_are_no_literals(line: str, tmp_path: Path) -> None:
    """Neither where something connects, nor as a value, nor as what holds by default."""
    about = replace(subject(), root=tmp_path)
    (tmp_path / "bad.py").write_text(f"{line}\n")
    found = await run("credentials", about)
    assert ("failed", 1) == (found.status, len(found.problems))
    assert "t0ps3cr3t" not in str(found)


async def test_what_is_named_like_a_secret_need_not_be_one(tmp_path: Path) -> None:
    """Names of fields, texts for people, kinds of tokens, servers of this machine."""
    (tmp_path / "good.py").write_text(
        "class Settings(BaseSettings):\n"
        "    secret_key: SecretStr\n"
        "    api_token: str = ''\n"
        "    password: str = Field(min_length=8)\n"
        "class Kind(StrEnum):\n"
        '    ACCESS_TOKEN = "access-token-v1"\n'
        '    PASSWORD = "by-password"\n'
        'TOKEN_URL = "/sign-in"\n'
        'PASSWORD = "password"\n'
        'no_password = "Choose another password."\n'
        'primary_key = "hero_id"\n'
        'upgrade_token = "upgrades"\n'
        'url = URL.create("postgresql", host="localhost", password="postgres")\n'
        'user = User(password="t0ps3cr3t")\n'
        'key = os.environ["SECRET_KEY"]\n'
        'key = os.environ.get("SECRET_KEY", "")\n'
        "def sign_in(password: str, token: str | None = None): ...\n"
    )
    (tmp_path / ".env.example").write_text("# copy me\nDB_CURSOR_SECRET=\nAPI_TOKEN=<a token>\n")
    assert () == (await run("credentials", replace(subject(), root=tmp_path))).problems
    (tmp_path / ".env.example").write_text("\nexport API_KEY='t0ps3cr3t'\n")
    found = await run("credentials", replace(subject(), root=tmp_path))
    assert [".env.example:2 gives away API_KEY."] == [problem for problem, _ in found.problems]


async def test_mariadb_and_mysql_keep_numbers_whole() -> None:
    """By a type that has the digits; the others keep them anyway."""

    class Sizes(SQLModel):
        metadata = MetaData()

    class Scale(Sizes, IntKey, table=True):
        weight: float
        price: Decimal
        exact: float = Field(sa_type=Double)
        fine: Decimal = Field(max_digits=10, decimal_places=2)

    about = replace(subject("mariadb://u@localhost/x"), metadata=Scale.metadata)
    assert (
        (
            "scale.weight keeps about 7 digits of a float.",
            "Put sa_type=Double on the field of scale.weight.",
        ),
        (
            "scale.price keeps no decimal places: 1.5 is stored as 2.",
            "Put max_digits=… and decimal_places=… on the field of scale.price.",
        ),
    ) == (await run("numbers", about)).problems
    other = replace(subject(PG), metadata=Scale.metadata)
    assert "passed" == (await run("numbers", other)).status


async def test_sessions_keep_what_they_have_read(tmp_path: Path) -> None:
    """`expire_on_commit` is off, wherever somebody makes sessions."""
    about = replace(subject(), root=tmp_path)
    (tmp_path / "good.py").write_text("make = async_sessionmaker(engine, expire_on_commit=False)\n")
    assert "passed" == (await run("expire-on-commit", about)).status
    (tmp_path / "bad.py").write_text("import x\nmake = async_sessionmaker(engine)\n")
    found = await run("expire-on-commit", about)
    assert "bad.py:2 makes async_sessionmaker that expires on commit." == found.problems[0][0]
    assert "skipped" == (await run("expire-on-commit", subject())).status


async def test_other_sessions_and_logins_are_no_faults(tmp_path: Path) -> None:
    """A `Session` of another library, and the answer of a login, which is a token."""
    (tmp_path / "http.py").write_text("import requests\ns = requests.Session(timeout=3)\n")
    (tmp_path / "env").mkdir()
    (tmp_path / "env" / "pyvenv.cfg").touch()
    (tmp_path / "env" / "theirs.py").write_text("make = sessionmaker(engine)\n")
    about = replace(subject(), root=tmp_path)
    assert "passed" == (await run("expire-on-commit", about)).status

    class Login(BaseModel):
        access_token: str
        token_type: str

    app = FastAPI()

    class SignedIn(BaseModel):
        token: str

    @app.post("/login")
    async def login() -> Login:
        raise NotImplementedError

    @app.post("/sign-in")
    async def sign_in() -> SignedIn:
        raise NotImplementedError

    assert "passed" == (await run("secrets", replace(subject(), app=app))).status

    class Account(BaseModel):
        api: SignedIn

    @app.get("/account")
    async def account() -> Account:
        raise NotImplementedError

    assert "failed" == (await run("secrets", replace(subject(), app=app))).status


def test_the_application_s_own_settings_are_examined(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have been given others than the environment has."""
    (tmp_path / "own_settings_app.py").write_text(
        "from fastapi import FastAPI\n"
        "from sqlmodelkit import Database, DatabaseSettings\n"
        "from sqlmodelkit.fastapi import install\n\n"
        "app = FastAPI()\n"
        'install(app, Database(settings=DatabaseSettings(url="sqlite:///own.db", echo=True)))\n'
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("DATABASE_URL", "sqlite:///other.db")
    project = Project(
        tmp_path,
        "own_settings_app:app",
        ("tests.test_doctor",),
        "tests.test_doctor:ClinicTables",
        tmp_path,
        None,
    )
    settings = subject_of(project).settings
    assert (True, str(tmp_path / "own.db")) == (settings.echo, settings.engine_url().database)


async def test_a_server_that_does_not_answer_is_no_fault_of_the_application() -> None:
    """The check is told as unknown, with the reason."""
    found = await run("pool", subject("postgresql://u@127.0.0.1:1/x", connect_timeout=1))
    assert ("unknown", True) == (found.status, bool(found.said))


async def test_a_finding_reads_well() -> None:
    """Its mark, the problem, the fix and the reason."""
    found = await run("echo", subject(echo=True))
    assert str(found) == (
        "warn  echo\n"
        "      echo is on.\n"
        "      -> Set DB_ECHO=false, and watch by a hook.\n"
        "      why: Every statement with its values in the log costs time, and may tell secrets."
    )
    assert "ok    sqlite: the database is a server" == str(await run("sqlite", subject(PG)))


async def test_an_unknown_check_is_refused() -> None:
    """The refusal names those there are."""
    with pytest.raises(ConfigError, match="no check pools"):
        await examine(subject(), only=["pools"])


def test_a_project_is_gathered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its services are those of its tables; how many workers serve it, the environment says."""
    monkeypatch.setenv("WEB_CONCURRENCY", "3")
    project = Project(
        tmp_path, None, ("tests.test_doctor",), "tests.test_doctor:ClinicTables", tmp_path, None
    )
    found = subject_of(project)
    assert (3, None, None) == (found.workers, found.app, found.schema)
    assert {WardService, PatientService, LoopService} == set(found.services)
    assert 2 == subject_of(project, workers=2).workers


@pytest.mark.parametrize("number", ["0", "many"])
def test_how_many_workers_has_to_be_a_number(
    number: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not taken for one."""
    monkeypatch.setenv("WEB_CONCURRENCY", number)
    project = Project(
        tmp_path, None, ("tests.test_doctor",), "tests.test_doctor:ClinicTables", tmp_path, None
    )
    with pytest.raises(ConfigError, match=f"WEB_CONCURRENCY is '{number}'"):
        subject_of(project)
