"""Every check of a run, as `docs/quality.md` lists them: facts beside the check where it has them, the others here."""

from typing import Final

from schemas.check import CheckFacts
from transforms.checks import (
    ai_drift,
    difficulty,
    holes,
    identities,
    label_sets,
    last_publication,
    other_chains,
    own_scale,
    quarantine,
    recent_sources,
)
from transforms.checks.freshness import IN_TIME

OF_TABLES: Final = (
    CheckFacts(
        name="calendar has no gap",
        severity="error",
        window="all days",
        reason="Windows count rows, so that a missing day would shift all of them.",
        fault="a day twice or not at all",
    ),
    CheckFacts(
        name="no final day after one that is not",
        severity="error",
        window="all days",
        reason="A day is final only when all before it are.",
        fault="blocks of a branch that died",
    ),
    CheckFacts(
        name="blocks of a day",
        severity="error",
        window="each day since 2013",
        reason="40 to 260: the fewest were 58 on 2021-06-27, the most 260 on 2013-10-15.",
        fault="a day of which a part was counted",
    ),
    CheckFacts(
        name="blocks of a day",
        severity="warning",
        window="last 30 days",
        reason="100 to 200: outside on one day in 200 since 2015, when hash rate came or went quickly.",
        fault="a day of which a small part is missing",
    ),
    CheckFacts(
        name="difficulty moves within one retarget a day",
        severity="error",
        window="all days",
        reason="Consensus limits a retarget to a quarter and to four times.",
        fault="difficulty of another unit",
    ),
    CheckFacts(
        name="fleet efficiency has no step",
        severity="error",
        window="all days",
        reason="Machines are replaced over years: the path of the estimates never moved by more than 0.15 % in a day.",
        fault="an estimate of efficiency in another unit",
    ),
    CheckFacts(
        name="issuance is no more than allowed",
        severity="error",
        window="all days",
        reason="The subsidy schedule, by the halving of the day.",
        fault="issuance times 2",
    ),
    CheckFacts(
        name="<column> is usual",
        severity="warning",
        window="each day since 2013",
        reason="Puell Multiple, change of revenue and MPI stayed inside these bounds since 2013.",
        fault="a price or flow that is off by a digit on one day",
    ),
    CheckFacts(
        name="no more goes to exchanges than leaves the miners",
        severity="warning",
        window="all days",
        reason="A part is no more than the whole; the vendor broke it once, on 2025-11-24, so that it does not stop.",
        fault="the flow of another day",
    ),
    CheckFacts(
        name="both forms of hashprice agree over a week",
        severity="warning",
        window="each week since 2013",
        reason="Revenue over expected and over realised hash rate differ by luck, less than 15 % over a week.",
        fault="revenue or difficulty of another unit",
    ),
    CheckFacts(
        name="blocks of all pools are the blocks of the day",
        severity="error",
        window="all days",
        reason="Equal where both come from one source; a warning beyond 1 % where they do not.",
        fault="blocks counted for no pool or for two",
    ),
    CheckFacts(
        name="blocks of all pools are the blocks of the day",
        severity="warning",
        window="all days",
        reason="Two sources may end a day at different blocks, up to 1 % apart.",
        fault="a list of pools that lacks blocks",
    ),
    CheckFacts(
        name="no block claims more than its subsidy",
        severity="error",
        window="all blocks",
        reason="Consensus refuses such a block.",
        fault="fees counted into the subsidy",
    ),
    CheckFacts(
        name="flow to all exchanges is the flow of the day",
        severity="error",
        window="all days",
        reason="Equal to the satoshi where both come from one source.",
        fault="an exchange counted twice",
    ),
)
BETWEEN_SOURCES: Final = (
    CheckFacts(
        name="blocks: <source> agrees with <source>",
        severity="warning",
        window="all blocks but the newest six",
        reason="Up to six heights may be those of a branch that died between two fetches.",
        fault="one block of another branch",
    ),
    CheckFacts(
        name="blocks: <source> agrees with <source>",
        severity="error",
        window="all blocks but the newest six",
        reason="More than six heights that differ are another chain.",
        fault="subsidy or fees read wrongly",
    ),
    CheckFacts(
        name="price_usd: <source> agrees with <source>",
        severity="warning",
        window="last 30 days",
        reason="Closes of two venues differ by tenths of a percent, by 2 % in a bad week.",
        fault="a venue that stands still",
    ),
    CheckFacts(
        name="price_usd is supported by another venue",
        severity="error",
        window="last 30 days",
        reason="No price was 10 % from every other venue since 2014.",
        fault="the price of another day or unit",
    ),
    CheckFacts(
        name="<series>: <source> agrees with <source>",
        severity="warning",
        window="all common days",
        reason="Figures of the chain differ by more than 0.1 % on at most 5 % of days.",
        fault="a series read in the wrong unit",
    ),
    CheckFacts(
        name="<series>: <source> agrees with <source>",
        severity="notice",
        window="all common days",
        reason=(
            "Flows depend on the labels of a vendor, reported figures on its formula, fees on where its day ends: "
            "stated, not judged."
        ),
        fault="none",
    ),
    CheckFacts(
        name="issuance is no more than consensus allows",
        severity="error",
        window="all days whose height is known by the count of all blocks",
        reason="The subsidies of the heights; Coin Metrics agrees to the satoshi.",
        fault="issuance times 1.001 to 2",
    ),
    CheckFacts(
        name="issuance is what the blocks earn",
        severity="warning",
        window="each day since 2013",
        reason="Miners who claim less than they may are rare; 2 % of a day is no miner.",
        fault="issuance times 0.9",
    ),
    CheckFacts(
        name="hash rate agrees with the vendor's",
        severity="warning",
        window="all common days",
        reason="The same formula; the median differs by less than 0.01 %.",
        fault="hash rate in another unit",
    ),
    CheckFacts(
        name="hash rate agrees with the vendor's lately",
        severity="warning",
        window="last 30 common days",
        reason="The same formula; a median over all history would hide a month in which one of them is wrong.",
        fault="difficulty times 1.5 for 20 days",
    ),
    CheckFacts(
        name="<figure> agrees with that of <source>",
        severity="warning",
        window="all common days",
        reason="MPI and Puell Multiple of a vendor from the same series: measured differences, with room.",
        fault="a window that is one day off",
    ),
    CheckFacts(
        name="<figure> agrees with that of <source>",
        severity="notice",
        window="all common days",
        reason="Made of another vendor's flows: stated, not judged.",
        fault="none",
    ),
    CheckFacts(
        name=f"<source>: {IN_TIME}",
        severity="warning",
        window="the newest day of each series",
        reason="A publication that is stopped would be older still than one that warns.",
        fault="a source that stopped 60 days ago",
    ),
)
CATALOGUE: Final = (
    *own_scale.CATALOGUE,
    *identities.CATALOGUE,
    *difficulty.CATALOGUE,
    *holes.CATALOGUE,
    *recent_sources.CATALOGUE,
    *last_publication.CATALOGUE,
    *other_chains.CATALOGUE,
    *label_sets.CATALOGUE,
    *ai_drift.CATALOGUE,
    *quarantine.CATALOGUE,
    *BETWEEN_SOURCES,
    *OF_TABLES,
)
"""All of them, in the order of the page."""
