"""Where mempool's API is, its rate limit and its errors.

Source: https://mempool.space/docs/api/rest and the backend's own routes in https://github.com/mempool/mempool. The
limit of the hosted server is not published; it sends 429 in HTML when it is exceeded and bans who goes on. One
request a second and ten minutes of silence after a second 429 are our own caution.
"""

from typing import Final

from flows.sources.hosted_blocks.failures import classify
from flows.sources.mempool.kind import MEMPOOL
from flows.sources.web.site import Limit, Site

SITE: Final = Site(
    name=MEMPOOL.name,
    title="mempool",
    address="https://mempool.space/api",
    limits=(Limit(1, 1),),
    share=1.0,
    # The whole list of adjustments is 50 kB, 15 blocks are 60 kB, 1,000 blocks at once 3 MB.
    classify=classify,
)
