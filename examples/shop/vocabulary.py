"""The words that the shop's data is made of. `generate` puts them together."""

from typing import NamedTuple


class Shelf(NamedTuple):
    """A category that holds products.

    Attributes:
        path: The names of the categories above it, and its own.
        nouns: What its products are.
        materials: What they are made of.
        cheapest: The least price.
        dearest: The greatest price.
    """

    path: tuple[str, ...]
    nouns: tuple[str, ...]
    materials: tuple[str, ...]
    cheapest: float
    dearest: float


def _read(table: str) -> tuple[Shelf, ...]:
    """Read three lines for each shelf: where it is and what it costs, nouns, materials."""
    lines = [line.strip() for line in table.strip().splitlines()]
    shelves: list[Shelf] = []
    for first, nouns, materials in zip(lines[::3], lines[1::3], lines[2::3], strict=True):
        path, _, prices = first.partition(" | ")
        cheapest, _, dearest = prices.partition(" to ")
        shelves.append(
            Shelf(
                tuple(path.split(" > ")),
                tuple(nouns.split(", ")),
                tuple(materials.split(", ")),
                float(cheapest),
                float(dearest),
            )
        )
    return tuple(shelves)


SHELVES = _read("""
Kitchen > Cookware > Pans | 19 to 190
    Frying Pan, Sauté Pan, Grill Pan, Crêpe Pan, Wok
    Cast Iron, Carbon Steel, Copper, Stainless Steel
Kitchen > Cookware > Pots | 16 to 240
    Saucepan, Stockpot, Casserole, Milk Pan, Steamer
    Enamel, Stainless Steel, Cast Iron, Copper
Kitchen > Knives | 9 to 180
    Chef's Knife, Paring Knife, Bread Knife, Santoku, Cleaver
    Damascus Steel, Carbon Steel, Stainless Steel
Kitchen > Coffee & Tea > Coffee Makers | 18 to 160
    Moka Pot, Pour-Over Set, French Press, Hand Grinder
    Steel, Glass, Copper, Ceramic
Kitchen > Coffee & Tea > Teapots | 8 to 120
    Teapot, Tea Kettle, Tea Strainer, Tea Caddy
    Cast Iron, Porcelain, Glass, Stoneware
Kitchen > Tableware | 5 to 60
    Dinner Plate, Soup Bowl, Mug, Carafe, Serving Board
    Stoneware, Porcelain, Oak, Glass
Home > Lighting > Desk Lamps | 25 to 220
    Desk Lamp, Clamp Lamp, Reading Lamp, Bedside Lamp
    Brass, Steel, Ash, Ceramic
Home > Lighting > Floor Lamps | 59 to 420
    Floor Lamp, Arc Lamp, Tripod Lamp, Paper Lantern
    Brass, Oak, Linen, Steel
Home > Bedding | 12 to 240
    Duvet Cover, Pillowcase, Fitted Sheet, Blanket, Quilt
    Linen, Organic Cotton, Wool, Percale
Home > Storage | 11 to 180
    Basket, Storage Box, Wall Shelf, Coat Rack, Drawer Set
    Rattan, Oak, Felt, Steel
Home > Rugs | 18 to 540
    Runner, Rug, Door Mat, Bath Mat
    Wool, Jute, Cotton, Coir
Outdoor > Tents | 79 to 890
    Tunnel Tent, Dome Tent, Tarp, Bivy, Geodesic Tent
    Ripstop, Silnylon, Cotton Canvas
Outdoor > Backpacks > Day Packs | 29 to 160
    Day Pack, Roll-Top Pack, Sling Bag, Running Vest
    Canvas, Ripstop, Recycled Nylon
Outdoor > Backpacks > Trekking Packs | 89 to 380
    Trekking Pack, Alpine Pack, Frame Pack, Duffel
    Cordura, Ripstop, Recycled Nylon
Outdoor > Sleeping Bags | 24 to 520
    Sleeping Bag, Quilt, Bag Liner, Sleeping Mat
    Down, Synthetic, Merino, Silk
Outdoor > Camp Kitchen | 6 to 140
    Camp Stove, Mess Kit, Spork, Kettle, Water Bottle
    Titanium, Aluminium, Steel
Office > Stationery > Notebooks | 4 to 48
    Notebook, Sketchbook, Weekly Planner, Pocket Book
    Linen, Leather, Recycled Paper, Kraft
Office > Stationery > Pens | 3 to 190
    Fountain Pen, Rollerball, Mechanical Pencil, Brush Pen
    Brass, Resin, Aluminium, Walnut
Office > Desks & Chairs | 89 to 1290
    Writing Desk, Standing Desk, Task Chair, Stool
    Oak, Birch, Walnut, Steel
Office > Desk Accessories | 9 to 130
    Pen Tray, Monitor Stand, Desk Mat, Bookend, Cable Box
    Felt, Walnut, Cork, Steel
Garden > Garden Tools | 9 to 95
    Secateurs, Hand Trowel, Spade, Rake, Hoe
    Forged Steel, Stainless Steel, Ash-Handled
Garden > Planters | 6 to 210
    Plant Pot, Window Box, Raised Bed, Hanging Planter
    Terracotta, Zinc, Larch, Fibre Clay
Garden > Seeds | 2 to 12
    Tomato Seeds, Basil Seeds, Meadow Mix, Lettuce Seeds, Bean Seeds
    Organic, Heirloom, Early
Garden > Watering | 8 to 120
    Watering Can, Garden Hose, Rain Gauge, Plant Mister
    Galvanised, Copper, Brass, Recycled
Workshop > Hand Tools > Screwdrivers | 5 to 85
    Screwdriver, Bit Set, Ratchet Driver, Hex Key Set
    Chrome Vanadium, Beech-Handled, Insulated
Workshop > Hand Tools > Saws | 12 to 140
    Ryoba Saw, Dovetail Saw, Coping Saw, Folding Saw
    Carbon Steel, Hardpoint, Brass-Backed
Workshop > Power Tools | 59 to 480
    Cordless Drill, Jigsaw, Orbital Sander, Trim Router
    12 V, 18 V, Brushless
Workshop > Workwear | 14 to 190
    Apron, Work Gloves, Chore Coat, Knee Pads, Overalls
    Waxed Canvas, Denim, Leather
""")

SERIES = (
    *("Alder", "Barrow", "Birk", "Calder", "Corrie", "Dunmore", "Elden", "Fenn", "Galloway"),
    *("Halden", "Ingle", "Juniper", "Kestrel", "Lindow", "Marlow", "Norrland", "Oakley"),
    *("Penrith", "Quill", "Rowan", "Skagen", "Tarn", "Ulva", "Wren"),
)
COLOURS = (
    *("black", "white", "sand", "olive", "navy", "rust", "slate", "ochre"),
    *("natural", "forest", "clay"),
)
PRAISE = (
    "Made in small batches and checked by hand.",
    "Built to be repaired rather than replaced: every part can be had on its own.",
    "Ages well and gets better with use.",
    "Light enough to take along, sturdy enough to leave out.",
    "Simple, quiet and very hard to break.",
    "The one we use ourselves.",
)
CARE = (
    "Wipe clean with a damp cloth.",
    "Wash by hand and dry at once.",
    "Oil it once a year.",
    "Machine washable at 40 °C.",
    "Keep it out of direct sun.",
    "Needs no care worth mentioning.",
)
TAGS = (
    *("new", "bestseller", "sale", "gift", "handmade", "recycled", "organic", "vegan", "limited"),
    *("last chance", "staff pick", "award winner", "plastic free", "fair trade", "local"),
    *("lightweight", "waterproof", "windproof", "foldable", "compact", "stackable", "modular"),
    *("cordless", "rechargeable", "dishwasher safe", "oven safe", "induction", "non-stick"),
    *("for two", "family size", "single", "beginner", "professional", "left-handed", "kids"),
    *("travel", "camping", "hiking", "winter", "summer", "rainy days", "weekend", "city"),
    *("balcony", "small spaces", "studio", "home office", "classic", "minimal", "vintage"),
    *("colourful", "monochrome", "natural fibre", "leather free", "refillable", "repairable"),
    *("5-year warranty", "lifetime warranty", "made in Europe", "carbon neutral", "bulk"),
)

FIRST_NAMES = (
    *("Ada", "Aisha", "Akira", "Alba", "Amara", "Anders", "Anouk", "Ben", "Bruno", "Camille"),
    *("Carlos", "Chiara", "Clara", "Daniel", "Diego", "Dina", "Elena", "Elias", "Emre", "Esther"),
    *("Fatima", "Felix", "Freya", "Gita", "Greta", "Hana", "Henrik", "Hugo", "Ida", "Imani"),
    *("Ines", "Iris", "Ivan", "Jana", "Jonas", "José", "Julia", "Kaito", "Karim", "Lars"),
    *("Leila", "Lena", "Liam", "Lucía", "Maja", "Malik", "Marta", "Mateo", "Mei", "Mila"),
    *("Nadia", "Niko", "Nora", "Olga", "Omar", "Oscar", "Paula", "Pedro", "Priya", "Rafael"),
    *("Rosa", "Samir", "Sara", "Sofia", "Sven", "Tomás", "Vera", "Yara", "Yusuf", "Zoë"),
)
LAST_NAMES = (
    *("Abbott", "Andersen", "Arslan", "Bakker", "Bauer", "Bergström", "Bianchi", "Brandt"),
    *("Carvalho", "Castillo", "Chen", "Costa", "Dahl", "Delgado", "Dubois", "Eriksen", "Farkas"),
    *("Ferrari", "Fischer", "Fontaine", "García", "Greco", "Haddad", "Hansen", "Hoffmann"),
    *("Horvat", "Ibrahim", "Ito", "Jansen", "Kaya", "Keller", "Khan", "Kowalska", "Kumar"),
    *("Laurent", "Lehmann", "Lindqvist", "López", "Marchetti", "Meyer", "Moreau", "Mwangi"),
    *("Nakamura", "Nguyen", "Novak", "O'Connor", "Okafor", "Olsen", "Papadakis", "Patel"),
    *("Pereira", "Petrov", "Popescu", "Ricci", "Rossi", "Saito", "Santos", "Schmidt", "Silva"),
    *("Singh", "Sørensen", "Tanaka", "Torres", "Varga", "Visser", "Walsh", "Weber", "Wójcik"),
)
STREETS = (
    *("Abbey Road", "Alder Lane", "Bakery Street", "Bridge Street", "Canal Row", "Castle Street"),
    *("Chapel Lane", "Cherry Walk", "Church Street", "Dock Road", "Elm Grove", "Ferry Lane"),
    *("Garden Street", "Harbour View", "High Street", "Hill Road", "Lime Avenue", "Linden Street"),
    *("Market Square", "Mill Lane", "Museum Street", "Orchard Road", "Park Avenue", "Quay Street"),
    *("River Walk", "School Lane", "South Terrace", "Station Road", "Theatre Square", "Tower Hill"),
    *("University Street", "Vine Street", "Walnut Street", "West Gate", "Windmill Road"),
)
CITIES = (
    ("Amsterdam", "NL", "10## AB"),
    ("Antwerp", "BE", "20##"),
    ("Barcelona", "ES", "080##"),
    ("Bergen", "NO", "50##"),
    ("Berlin", "DE", "10###"),
    ("Bologna", "IT", "401##"),
    ("Copenhagen", "DK", "21##"),
    ("Dublin", "IE", "D0# X2#"),
    ("Edinburgh", "GB", "EH# 1QS"),
    ("Gdańsk", "PL", "80-###"),
    ("Ghent", "BE", "90##"),
    ("Gothenburg", "SE", "411 ##"),
    ("Graz", "AT", "80##"),
    ("Hamburg", "DE", "20###"),
    ("Helsinki", "FI", "001##"),
    ("Lisbon", "PT", "11##-2##"),
    ("Ljubljana", "SI", "10##"),
    ("Lyon", "FR", "690##"),
    ("Milan", "IT", "201##"),
    ("Nantes", "FR", "440##"),
    ("Porto", "PT", "40##-1##"),
    ("Prague", "CZ", "110 ##"),
    ("Tallinn", "EE", "101##"),
    ("Thessaloniki", "GR", "546 ##"),
    ("Utrecht", "NL", "35## CD"),
    ("Vienna", "AT", "10##"),
    ("Vilnius", "LT", "011##"),
    ("Zürich", "CH", "80##"),
)
NOTES = (
    "Please leave it with the neighbour.",
    "The bell is broken, please knock.",
    "It is a gift: no invoice in the parcel.",
    "Third floor, no lift. Thank you!",
    "Only in the afternoon, please.",
)
REVIEWS = {
    1: (
        ("Broke in a week", "Not as shown", "Do not bother", "Sent it back"),
        (
            "It came with a crack and the second one was no better.",
            "Much smaller than the picture makes you think.",
            "The finish came off after three days.",
        ),
    ),
    2: (
        ("Expected more", "Disappointing", "Fine, until it was not"),
        (
            "It works, but for this price I had hoped for better.",
            "The idea is good; the making is not.",
            "Arrived late, and one part was missing.",
        ),
    ),
    3: (
        ("Does what it should", "Decent", "Mixed feelings", "All right"),
        (
            "Nothing special, nothing wrong.",
            "Good quality, but the colour is not quite as shown.",
            "Solid. I would wait for a sale, though.",
        ),
    ),
    4: (
        ("Really good", "Would buy again", "Nearly perfect", "Good value"),
        (
            "Well made and quick to arrive. One star off for the packaging.",
            "We have used it every day for a month and like it.",
            "A little heavier than I thought, otherwise great.",
        ),
    ),
    5: (
        ("Love it", "Perfect", "Worth every cent", "Bought a second one", "Best I have had"),
        (
            "Beautifully made. You feel it the moment you pick it up.",
            "Exactly what I was looking for, and it looks even better in real life.",
            "I gave one to my sister and now the whole family wants one.",
            "Simple, sturdy, and the service was lovely.",
        ),
    ),
}
