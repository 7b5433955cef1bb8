"""Defects that belong to other layers, by layer: they are listed, not tested here."""

ELSEWHERE: dict[str, tuple[str, ...]] = {
    "SQLModel and Pydantic": (
        "Options of `Field` that SQLModel does not have, such as `pattern`, break the import.",
        "A column named `metadata` is refused by SQLAlchemy 2.0; 2.1 takes it.",
    ),
    "FastAPI": ("Tables are made, and engines opened, in a start-up event that is deprecated.",),
    "Documentation": (
        "Examples have a mistake of syntax, lack imports, or call what is not there.",
        "Numbers of an example do not follow from its formula, as those for the size of a pool.",
    ),
    "Migrations": (
        "The environment opens an async engine with a plain `with`.",
        "An address is handed over by an option that Alembic does not have.",
        "Generated files name types of SQLModel without importing it.",
        "Statements of a migration are committed one by one, so a failure leaves half of it.",
        "A wrong import leaves the metadata empty, and the generated migration drops every table.",
        "A revision fails after its file was written, because a formatter is not installed.",
    ),
    "Command line": (
        "A script that looks for slow queries searches the text of the source.",
        "A connection test leaves its temporary file behind.",
    ),
    "Observation": (
        "A detector of repeated statements shares one list among all requests.",
        "It listens to an async engine, which SQLAlchemy refuses.",
        "A slow log writes parameters, and with them personal data, into the log.",
        "A health probe answers 200 while the database is away (`tests/fastapi/test_health.py`).",
    ),
    "Caching": (
        "A hit answers something else than a miss.",
        "Live rows of a session are kept in a cache without bounds.",
    ),
    "Replicas": (
        "Two addresses are joined by a comma; the driver takes the second for a database name.",
        "A read after one's own write goes to a replica that has not heard of it.",
    ),
    "Backups": ("A dump is reported as made, whatever its exit status was.",),
    "Testing": ("The application is given the session of the test, which hides a missing commit.",),
}
