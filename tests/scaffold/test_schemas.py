"""Schemas that are added beside a table are whole, and leave what is there alone."""

import ast
import json
import shutil
from pathlib import Path

import pytest

from tests.scaffold import projects

HERE = Path(__file__).parent
SHOP = HERE.parent.parent / "examples" / "shop" / "models"
ENDS = ("Create", "Update", "Brief", "Public")
SETTINGS = """
[tool.sqlmodelkit]
models = ["{package}"]

[tool.ruff]
line-length = 100

[tool.ruff.lint]
select = ["E", "F", "I", "UP", "N", "PT", "SIM", "W"]
ignore = ["E501"]

[tool.mypy]
strict = true
packages = ["{package}"]
"""

SERVE = """
import asyncio, importlib, json, sys
from types import new_class

from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient
from sqlmodel import SQLModel
from sqlmodelkit import Database, ServiceBase
from sqlmodelkit.fastapi import crud_router, install

from sqlmodelkit.projects import find_project

name, address = sys.argv[1:]
find_project().load_models()
module = importlib.import_module(name)

def service(table):
    kinds = (table, getattr(module, table.__name__ + "Create"),
             getattr(module, table.__name__ + "Update"))
    public = getattr(module, table.__name__ + "Public")
    return new_class(table.__name__ + "Service", (ServiceBase[kinds],), {},
                     lambda body: body.update(public=public))

tables = [each for each in vars(module).values()
          if isinstance(each, type) and hasattr(each, "__table__")]
services = {table.__name__: service(table) for table in tables
            if hasattr(module, table.__name__ + "Public")}
"""

USE_GEAR = """
async def main():
    db = Database(address)
    async with db.engine.begin() as connection:
        await connection.run_sync(SQLModel.metadata.create_all)
    app = FastAPI()
    install(app, db)
    for name, each in services.items():
        app.include_router(crud_router(each, public=True), prefix="/" + name)
    async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
        maker = await client.post("/GearMaker", json={"code": "acme", "title": "Acme"})
        label = await client.post("/GearLabel", json={"word": "red"})
        changed = await client.patch("/GearMaker/acme", json={"title": "ACME"})
        print(maker.status_code, label.status_code, changed.json(), flush=True)
    async with db.transaction(scope={"tenant": 3}) as session:
        gears = services["Gear"](session)
        sent = module.GearCreate(name="Wheel", price="1.50", maker_code="acme", access_token="t")
        wheel = await gears.create(sent, into=module.GearPublic)
        rim = await gears.create(module.GearCreate(
            name="Rim", price="2", maker_code="acme", parent_id=wheel.id, facts={"a": [1]},
            next_grade="best"), into=module.GearPublic)
        await services["GearLink"](session).create(
            module.GearLinkCreate(gear_id=rim.id, label_id=label.json()["id"]))
        rim = await gears.update(
            rim.id, module.GearUpdate(stock=9, next_grade=None), into=module.GearPublic)
        stored = await gears.get(wheel.id)
        shown = json.loads(rim.model_dump_json())
        print(json.dumps([stored.access_token, stored.tenant_id, wheel.stock, shown]))
    await db.close()

asyncio.run(main())
"""

COUNT = """
app = FastAPI()
for name, each in services.items():
    app.include_router(crud_router(each, public=True), prefix="/" + name)
print(len(services), len(app.openapi()["paths"]))
"""


def project(root: Path, package: str) -> Path:
    """Make a directory a project with models of this package; return the package's."""
    (root / package).mkdir()
    (root / "pyproject.toml").write_text(SETTINGS.format(package=package))
    return root / package


def add(root: Path, *words: str) -> str:
    """Add schemas; return what the command says."""
    return projects.run_in(root, "sqlmodelkit", "add", "schemas", *words)


def copied(text: str) -> str:
    """Return a module as it stands elsewhere: there sqlmodelkit is a package of others."""
    return text.replace("\n\nfrom sqlmodelkit", "\nfrom sqlmodelkit")


def classes(path: Path) -> dict[str, str]:
    """Return the classes of a module."""
    text = path.read_text()
    found = [node for node in ast.parse(text).body if isinstance(node, ast.ClassDef)]
    return {node.name: ast.get_source_segment(text, node) or "" for node in found}


def use(root: Path, script: str, module: str, url: str = "") -> str:
    """Run a program with services over a module's tables; return what it prints."""
    (root / "use_for_tests.py").write_text(SERVE + script)
    said = projects.run_in(root, "use_for_tests", module, url)
    (root / "use_for_tests.py").unlink()
    return said


def without_schemas(text: str) -> str:
    """Return a module with its tables, and what they derive from, alone."""
    lines = text.splitlines()
    for node in reversed(ast.parse(text).body):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("examples."):
            names = [each.name for each in node.names if not each.name.endswith((*ENDS, "Name"))]
            line = f"from {node.module} import {', '.join(names)}"
            lines[node.lineno - 1 : node.end_lineno] = [line]
        if not isinstance(node, ast.ClassDef):
            continue
        is_table = any(word.arg == "table" for word in node.keywords)
        is_enum = any("Enum" in ast.unparse(parent) for parent in node.bases)
        if not (is_table or is_enum or node.name.endswith("Base")):
            del lines[node.lineno - 1 : node.end_lineno]
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def gear(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with tables of every kind of column, and their schemas."""
    root = tmp_path_factory.mktemp("gear")
    package = project(root, "gear")
    for path in (HERE / "tables").glob("*.py"):
        (package / path.name).write_text(copied(path.read_text()))
    for name in ("GearMaker", "GearLabel", "GearLink", "Gear"):
        add(root, f"gear.tables:{name}")
    return root


@pytest.mark.slow
def test_what_the_server_gives_is_not_sent_and_secrets_are_not_shown(gear: Path) -> None:
    """Keys, times, versions, tenants and computed columns are the server's."""
    found = classes(gear / "gear" / "tables.py")
    assert found["GearCreate"].splitlines()[1:] == [
        "    price: Money = Field(max_digits=10, decimal_places=2)",
        "    priced_on: dt.date | None = None",
        '    name: str = Field(min_length=1, max_length=60, description="As it is called.")',
        "    grade: Grade = Grade.GOOD",
        "    next_grade: Grade | None = None",
        "    note: str | None = None",
        "    facts: dict[str, Any] = Field(default_factory=dict)",
        "    batch: UUID = Field(default_factory=uuid4)",
        "    stock: int = Field(default=None, ge=0)",
        "    access_token: str | None = Field(default=None, max_length=80)",
        "    maker_code: str = Field(max_length=8)",
        "    parent_id: UUID | None = None",
    ]
    assert "    grade: Grade = Field(default=None)\n" in found["GearUpdate"]
    shown = [line.strip() for line in found["GearPublic"].splitlines()[1:]]
    assert ["id: UUID", "tenant_id: int", "version: int"] == shown[:3]
    assert [
        "maker: GearMakerBrief",
        "labels: list[GearLabelBrief]",
        "parent: GearBrief | None",
    ] == (shown[-3:])
    assert not {"access_token", "deleted_at"} & {line.partition(":")[0] for line in shown}
    assert "    code: str = Field(max_length=8)\n" in found["GearMakerCreate"]
    assert "code" not in found["GearMakerUpdate"]
    assert (
        (gear / "gear" / "tables.py")
        .read_text()
        .endswith("\n\n\n# What is written here stays.\nLIMIT = 100\n")
    )


@pytest.mark.slow
def test_style_and_types_are_right(gear: Path) -> None:
    """As ruff and strict mypy see them."""
    projects.check(gear)


@pytest.mark.db
@pytest.mark.slow
def test_they_serve_on_each_engine(gear: Path, database_url: str) -> None:
    """With services and generated endpoints, defaults of the database included."""
    first, second = use(gear, USE_GEAR, "gear.tables", database_url).splitlines()
    assert "201 201 {'code': 'acme', 'title': 'ACME'}" == first
    token, tenant, stock, shown = json.loads(second)
    assert ("t", 3, 7) == (token, tenant, stock)
    told = ("stock", "double", "version", "facts", "grade", "next_grade", "price")
    assert [9, 18, 2, {"a": [1]}, "good", None, "2.00"] == [shown[name] for name in told]
    assert ["Wheel", "ACME", ["red"]] == [
        shown["parent"]["name"],
        shown["maker"]["title"],
        [label["word"] for label in shown["labels"]],
    ]


@pytest.mark.slow
def test_what_is_there_stays(gear: Path, tmp_path: Path) -> None:
    """And is named; what lacks is put to it, which a dry run shows before."""
    root = tmp_path / "copy"
    shutil.copytree(gear, root)
    path = root / "gear" / "tables.py"
    mine = "class GearBrief(SQLModel):\n    grade: Grade"
    text = path.read_text().replace(classes(path)["GearBrief"], mine)
    text = text.replace(f"{classes(path)['GearPublic']}\n\n\n", "")
    path.write_text(text)
    patch = add(root, "gear.tables:Gear", "--dry-run")
    assert text == path.read_text()
    added = [line for line in patch.splitlines() if line.startswith("+class")]
    assert ["+class GearPublic(SQLModel):"] == added
    told = json.loads(add(root, "gear.tables:Gear", "--json"))
    assert ["GearPublic"] == told["added"]
    assert ["GearCreate", "GearUpdate", "GearBrief"] == told["kept"]
    assert classes(gear / "gear" / "tables.py") | {"GearBrief": mine} == classes(path)
    before = path.read_text()
    assert "nothing is missing" in add(root, "gear.tables:Gear")
    assert before == path.read_text()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("address", "complaint"),
    [
        ("gear.tables:Grade", "gear.tables:Grade is not a SQLModel"),
        ("gear.shared:Priced", "Priced is not a table"),
        ("gear.tables:Wheel", "Wheel"),
        ("gear.nowhere:Gear", "nowhere"),
    ],
)
def test_what_is_no_table_is_refused(gear: Path, address: str, complaint: str) -> None:
    """Nothing is written then."""
    status, said = projects.try_in(gear, "sqlmodelkit", "add", "schemas", address)
    assert (1, True) == (status, complaint in said), said


@pytest.mark.slow
def test_the_tables_of_a_shop_get_theirs(tmp_path: Path) -> None:
    """With base classes of their own, relations between modules, and owners of rows."""
    package = project(tmp_path, "shop")
    for path in SHOP.glob("*.py"):
        if path.name != "__init__.py":
            text = copied(without_schemas(path.read_text()))
            (package / path.name).write_text(text.replace("examples.shop.models", "shop"))
    (package / "__init__.py").touch()
    for text in ("catalogue:Category", "catalogue:Tag", "catalogue:Product", "customers:Customer",
                 "customers:Address", "orders:Order", "orders:OrderLine", "reviews:Review"):  # fmt: skip
        add(tmp_path, f"shop.{text}")
    projects.run_in(tmp_path, "ruff", "check", "--no-cache", "--fix", "--quiet")  # unused imports
    projects.run_in(tmp_path, "ruff", "format", "--no-cache", "--quiet")
    projects.check(tmp_path)
    found = classes(package / "catalogue.py")
    assert "class ProductCreate(ProductBase):\n    pass" == found["ProductCreate"]
    assert "    tags: list[TagBrief]" in found["ProductPublic"]
    assert "    parent: CategoryBrief | None" in found["CategoryPublic"]
    assert (
        "    sku: str = Field(default=None, min_length=1, max_length=32)"
        in (found["ProductUpdate"])
    )
    orders = classes(package / "orders.py")
    assert "customer_id" not in orders["OrderCreate"]
    assert "    customer: CustomerBrief | None" in orders["OrderPublic"]
    assert "password" not in classes(package / "customers.py")["CustomerPublic"]
    for name, many in (("catalogue", 3), ("customers", 2), ("orders", 2), ("reviews", 1)):
        assert str(many) == use(tmp_path, COUNT, f"shop.{name}").split()[0]


@pytest.mark.slow
def test_chinook_is_served_with_them(tmp_path: Path) -> None:
    """Every table with its relations; answers are what plain SQL says."""
    said = projects.run_in(tmp_path, "tests.scaffold.chinook", "sqlite:///chinook.db",
                           PYTHONPATH=f"{tmp_path}:{HERE.parent.parent}")  # fmt: skip
    assert ["11 models"] == json.loads(said.splitlines()[-1])
    projects.check(tmp_path)
