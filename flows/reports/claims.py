"""The claims of an article on a terminal: verdict, statement, what the tables hold, what the article leaves out."""

from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from flows.reports.terminal import shown
from transforms.claims.evidence import DIRECTION_ONLY, NOT_REPRODUCED, REPRODUCED
from warehouse import publication_queries
from warehouse.publication_queries import Row
from warehouse.reading import open_publication

STYLES: Final = {REPRODUCED: "green", DIRECTION_ONLY: "yellow", NOT_REPRODUCED: "red"}
WIDEST_COLUMNS: Final = 120


def print_claims(published: Path) -> None:
    """Print the claims of the publication under `published`. Raises `WarehouseError` where there is none."""
    with open_publication(published) as publication:
        claims = publication_queries.claims(publication)
    console = Console()
    console.print(_laid_out(claims), width=min(console.width, WIDEST_COLUMNS))


def _laid_out(claims: list[Row]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column()
    for claim in claims:
        table.add_row(shown(claim["verdict"], STYLES.get(claim["verdict"], "dim")), shown(claim["statement"], "bold"))
        table.add_row("", shown(claim["finding"]))
        if claim["left_out"]:
            table.add_row("", Text("Left out: ").append(shown(claim["left_out"])))
        read = f"{claim['column_names']}, from {claim['sources'] or 'nobody'}; judged on {claim['judged_on']}"
        table.add_row("", shown(read, "dim"))
        table.add_row("", "")
    return table
