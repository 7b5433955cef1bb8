"""`make examples`: writes the example shop from the template that new projects are made from.

Start at `texts`.
"""

from pathlib import Path

from sqlmodelkit.scaffold.rendering import render_tree

ROOT = Path(__file__).parents[1]
SHOP = ROOT / "examples" / "shop"
OWN = ("main.py", "seed.py", "settings.py")
"""What the example has written by hand: its database comes without migrations or `.env`."""
VALUES = {
    "package": "examples.shop",
    "demo": True,
    "title": "The shop",
    "token": "SHOP_TOKEN",
}


def texts() -> dict[str, str]:
    """Return the files of the example that come from the template, by their names in it."""
    files = render_tree("project/shop/app", VALUES)
    return {name: text for name, text in files.items() if name not in OWN}


def main() -> None:
    """Write them."""
    for name, text in texts().items():
        path = SHOP / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
