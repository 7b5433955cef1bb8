"""The SQL of migrations, for people who run it by hand, and for `lint`.

Start at `sql`.
"""

from io import StringIO

from alembic import command

from .environment import Run, config_of, scripts_of, speaking
from .place import Schema


def sql(schema: Schema, start: str = "base", end: str = "heads", *, down: bool = False) -> str:
    """Return the statements that lead from one revision to another, without any database.

    Args:
        schema: What the migrations are about; its database's kind says which SQL.
        start: The revision before the first statement.
        end: The revision after the last one.
        down: Whether it leads back.

    Raises:
        ConfigError: There is no such revision, or a migration has to read from the database.
    """
    scripts_of(schema)
    run = Run(schema)
    config = config_of(run)
    with speaking():
        if down:
            command.downgrade(config, f"{start}:{end}", sql=True)
        else:
            command.upgrade(config, f"{start}:{end}", sql=True)
    output = config.output_buffer
    return output.getvalue() if isinstance(output, StringIO) else ""
