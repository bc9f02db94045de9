"""Where Esplora's API is, its rate limit and its errors.

Source: https://github.com/Blockstream/esplora/blob/master/API.md. The limit of blockstream.info is not published; it
sends 429 without Retry-After. One request a second and ten minutes of silence after a second 429 are our own caution.
Its errors are text.
"""

from typing import Final

from flows.sources.esplora.kind import ESPLORA
from flows.sources.hosted_blocks.failures import classify
from flows.sources.web.site import Limit, Site

SITE: Final = Site(
    name=ESPLORA.name,
    title="Esplora",
    address="https://blockstream.info/api",
    limits=(Limit(1, 1),),
    share=1.0,
    classify=classify,
)
