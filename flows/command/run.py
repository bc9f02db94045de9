"""Commands that run: daily, backfill, relabel, serve."""

import json
import logging
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, get_args

import click
from rich.console import Console

from flows.command.failures import is_verbose
from flows.command.hints import command_line, pasteable
from flows.command.options import (
    DAY,
    MOMENT,
    Command,
    day_of,
    json_option,
    requests_option,
    settings_options,
    switch_option,
)
from flows.reports.terminal import log_to_terminal, shown
from flows.settings import MOST_SHARDS, Runner, Settings, read_profile, read_settings
from flows.sources.simulated.kind import SIMULATED
from flows.startup import importing
from schemas.errors import SettingsError
from schemas.targets import target_addresses
from schemas.text import visible

if TYPE_CHECKING:
    from flows.run.plan import Run

MOST_NAMED_COLUMNS: Final = 4
BESIDE: Final = (
    "It ends with {day} and is beside the current publication, which has later days and is what `hashpivot show` and "
    "`hashpivot sql` read; with --replace it takes its place."
)
REAL_DATA: Final = (
    ("public blocks and prices, without a key: recommended; fetches 3 GB", ("--profile", "lake")),
    ("hosted sources only, without a key", ("--profile", "live")),
    ("vendor exports in a folder", ("--profile", "files", "--files-dir", "FOLDER")),
    ("an own Bitcoin Core node and a hosted price", ("--profile", "node")),
)


def runner_options(command: Command) -> Command:
    """The options for what reads shards."""
    command = click.option(
        "--dask-address",
        help="Scheduler of Dask, such as tcp://10.0.0.5:8786; else a local cluster. [HASHPIVOT_DASK_ADDRESS]",
    )(command)
    return click.option(
        "--runner",
        type=click.Choice(get_args(Runner)),
        help="What reads old blocks: threads, or workers of Dask. [HASHPIVOT_RUNNER, threads]",
    )(command)


@click.command()
@click.option("--day", type=DAY, help="Last UTC day to publish; by default the last that is over.")
@click.option(
    "--replace",
    "replaces",
    is_flag=True,
    help="Publish --day in the place of a current publication with later days; by default beside it.",
)
@click.option("--catch-up", is_flag=True, help="Publish missed days first, in order; used only without --day.")
@click.option("--full", is_flag=True, help="Sum flows of all days again, and compare them with what is kept of them.")
@click.option("--plain", is_flag=True, help="Run without the scheduler.")
@runner_options
@switch_option
@requests_option
@click.option(
    "--as-of", type=MOMENT, help="Publish, beside today's, what was known at this UTC moment; nothing is fetched."
)
@settings_options
@json_option
def daily(
    day: datetime | None,
    replaces: bool,
    catch_up: bool,
    full: bool,
    plain: bool,
    switch_profile: bool,
    as_of: datetime | None,
    as_json: bool,
    **given: Any,
) -> None:
    """Fetch from the sources, store what is new, recompute every table, check and publish."""
    settings = read_settings(**given)
    _check_runner(settings, given, plain=plain)
    if replaces and (day is None or as_of is not None):
        raise SettingsError("--replace", True, "a --day, and no --as-of", "name the day that replaces later ones")
    if full:
        from flows.run.folds import sum_all_next

        sum_all_next(settings)
    if as_of is not None:
        _rebuild(settings, as_of=as_of, day=day_of(day), as_json=as_json)
    elif plain:
        result = _run_plain(
            settings, day=day_of(day), replaces=replaces, catch_up=catch_up, switches_profile=switch_profile
        )
        _report(settings, result, as_json=as_json)
    else:
        from flows.scheduled.from_command import run_flow

        result = run_flow(
            settings,
            "daily",
            verbose=is_verbose(),
            day=day_of(day),
            replace=replaces,
            catch_up=catch_up,
            switch_profile=switch_profile,
        )
        _report(settings, result, as_json=as_json)


@click.command()
@click.option("--from", "since", type=DAY, required=True, help="First UTC day to fetch from the sources.")
@click.option("--to", "through", type=DAY, help="Last UTC day to fetch; by default the last that is over.")
@click.option(
    "--shards",
    type=click.IntRange(1, MOST_SHARDS),
    default=1,
    show_default=True,
    help="Parts the range is fetched in, the oldest first; each is stored once it is there.",
)
@click.option("--plain", is_flag=True, help="Run without the scheduler.")
@runner_options
@switch_option
@requests_option
@settings_options
@json_option
def backfill(
    since: datetime,
    through: datetime | None,
    shards: int,
    plain: bool,
    switch_profile: bool,
    as_json: bool,
    **given: Any,
) -> None:
    """Fetch a range of days from the sources again, then publish all that is known."""
    settings = read_settings(**given)
    _check_runner(settings, given, plain=plain)
    if plain:
        result = _run_plain(
            settings,
            since=day_of(since),
            through=day_of(through),
            switches_profile=switch_profile,
            part_count=shards,
        )
    else:
        from flows.scheduled.from_command import run_flow

        result = run_flow(
            settings,
            "backfill",
            verbose=is_verbose(),
            since=day_of(since),
            through=day_of(through),
            switch_profile=switch_profile,
            shards=shards,
        )
    _report(settings, result, as_json=as_json)


@click.command()
@settings_options
@json_option
def relabel(as_json: bool, **given: Any) -> None:
    """Attribute stored blocks anew with the present labels, all or none of them, then publish; nothing is fetched."""
    settings = read_settings(**given)
    with importing():
        from flows.run.publish import outcome_facts
        from flows.run.relabel import plan_relabel
        from flows.run.relabel import relabel as run_relabel

    log_to_terminal(logging.WARNING, "%(levelname)s %(name)s: %(message)s")
    console = Console(stderr=True)
    profile = read_profile(settings.profile)
    run = plan_relabel(settings, profile)
    with console.status(shown(f"{profile.title}: attributing blocks anew")):
        result = outcome_facts(
            run_relabel(run, progress=lambda line: console.print(shown(line, "dim"), soft_wrap=True))
        )
    _report(settings, result, as_json=as_json)


@click.command("publish-only")
@click.option(
    "--target",
    "named",
    multiple=True,
    metavar="ADDRESS",
    help="Publish to this address, such as s3://BUCKET/PREFIX, and not to those that are set; may be repeated.",
)
@settings_options
@json_option
def publish_only(named: tuple[str, ...], as_json: bool, **given: Any) -> None:
    """Publish the current version to the targets beside the home; nothing is fetched or computed."""
    settings = read_settings(**given)
    profile = read_profile(settings.profile)
    addresses = target_addresses("--target", named)
    with importing():
        from flows.run import targets

    log_to_terminal(logging.ERROR, "%(levelname)s %(name)s: %(message)s")
    with Console(stderr=True).status(shown("publishing to targets")):
        results = targets.publish_only(settings, profile, addresses)
    if as_json:
        click.echo(json.dumps({each.address: each.facts() for each in results}, indent=2))
    else:
        for each in results:
            if each.error is None:
                click.echo(visible(str(each)))
    targets.raise_failed(results)


@click.command()
@click.option(
    "--host",
    default="127.0.0.1",
    envvar="PREFECT_SERVER_API_HOST",
    show_default=True,
    help="Address the server listens on. [PREFECT_SERVER_API_HOST]",
)
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=4200,
    envvar="PREFECT_SERVER_API_PORT",
    show_default=True,
    help="Port of the server. [PREFECT_SERVER_API_PORT]",
)
@settings_options
def serve(host: str, port: int, **given: Any) -> None:
    """Serve the deployments with their schedules: under PREFECT_API_URL, or with a server of its own."""
    from flows.scheduled.serve import serve as serve_deployments

    log_to_terminal(logging.INFO, "%(asctime)s %(levelname)s %(name)s: %(message)s")
    for name in ("httpx", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    serve_deployments(read_settings(**given), host=host, port=port)


def _check_runner(settings: Settings, given: Mapping[str, Any], *, plain: bool) -> None:
    """Raise `SettingsError` where what was chosen to read shards cannot do it."""
    if settings.runner == "dask" and plain:
        # Retries and limits of time of a shard are those of its task, so that there is one way to Dask and not two.
        raise SettingsError(
            "--runner", "dask", "threads with --plain: Dask is reached by the scheduler", "leave out one"
        )
    if given["dask_address"] is not None and settings.runner != "dask":
        raise SettingsError("--dask-address", given["dask_address"], "--runner dask beside it", "add it")


def _run_plain(
    settings: Settings,
    *,
    day: date | None = None,
    catch_up: bool = False,
    part_count: int = 1,
    since: date | None = None,
    switches_profile: bool,
    **chosen: Any,
) -> dict[str, Any]:
    """Run in this process and show its progress; return the facts of the last run. `chosen`: more of `plan`."""
    with importing():
        from flows.run.pipeline import run_all
        from flows.run.plan import plan, plan_catch_up
        from flows.run.publish import outcome_facts

    log_to_terminal(logging.WARNING, "%(levelname)s %(name)s: %(message)s")
    console = Console(stderr=True)
    profile = read_profile(settings.profile)
    runs: Iterator[Run]
    if catch_up and day is None:
        runs = plan_catch_up(settings, profile, since=since, switches_profile=switches_profile)
    else:
        runs = iter([plan(settings, profile, day=day, since=since, switches_profile=switches_profile, **chosen)])
    result: dict[str, Any] = {}
    with console.status(shown(f"{profile.title}: fetching from the sources")) as status:

        def progress(line: str) -> None:
            console.print(shown(line, "dim"), soft_wrap=True)
            status.update(shown(f"{profile.title}: working"))

        for run in runs:
            result = outcome_facts(run_all(run, part_count=part_count, progress=progress))
    return result


def _report(settings: Settings, result: dict[str, Any], *, as_json: bool) -> None:
    """State where the publication is and what it shows."""
    if as_json:
        click.echo(json.dumps(result, indent=2))
        return
    from flows.reports.page.pages import REPORT
    from flows.reports.summary import summary
    from warehouse.publication_queries import EXAMPLE
    from warehouse.targets.files import REPORT_NAME

    out = Console()
    out.print(summary(Path(result["database"]).parent))
    out.print()
    for warning in result["warnings"]:
        out.print(shown(pasteable(f"warning: {warning}"), "yellow"), soft_wrap=True)
    for address, facts in result["targets"].items():
        if not facts["error"]:
            uploaded = f"{facts['uploaded_count']:,} files uploaded, {facts['uploaded_bytes'] / 1e6:,.1f} MB"
            out.print(
                shown(f"Published to {address}: {uploaded}, {facts['reused_count']:,} were there"), soft_wrap=True
            )
    for line in (*_about_sources(result["sources"]), *_about_series(result)):
        out.print(shown(pasteable(line)), soft_wrap=True)
    out.print(shown(f"Publication: {result['database']}"), soft_wrap=True)
    out.print(shown(f"Report:      {Path(result['database']).with_name(REPORT_NAME) / REPORT}"), soft_wrap=True)
    if result["is_current"]:
        out.print(shown(f"Query it:    {command_line('sql', EXAMPLE)}"), soft_wrap=True)
    else:
        out.print(shown(pasteable(BESIDE.format(day=result["day"]))), soft_wrap=True)
    if SIMULATED.name in result["sources"]:
        for line in _about_real_data(settings.home):
            out.print(shown(line), soft_wrap=True)


def _about_real_data(home: Path) -> Iterator[str]:
    """What to type for real data, which a home of invented data does not take."""
    yield ""
    yield "The data above is invented. Real data goes into a home of its own:"
    for what, options in REAL_DATA:
        yield f"{what}:"
        yield f"  {command_line('daily', *options, '--home', f'{home}-real')}"


def _about_sources(sources: dict[str, Any]) -> Iterator[str]:
    """What sources left out, what hosted ones have cost, and what is missing."""
    for facts in sources.values():
        yield from (f"notice: {line}" for line in facts["in_short"])
    for name, facts in sources.items():
        if used := facts.get("used"):
            yield (
                f"Requested from {name}: {used['requests_count']:,} requests, {used['received_bytes'] / 1e6:,.1f} MB, "
                f"{used['waited_seconds']:,.0f} s of waiting"
            )
    for name, facts in sources.items():
        if facts["missing"]:
            yield f"Without {name}: {facts['missing']}{_null_without(facts['null_columns'])}"


def _about_series(result: dict[str, Any]) -> Iterator[str]:
    """What no source states, and what became of it."""
    for series, how in result["computed"].items():
        yield f"No source states {series}: computed as {how}"
    for series, columns in result["unstated"].items():
        yield f"No source states {series}{_null_without(columns)}"


def _null_without(columns: list[str]) -> str:
    named = columns[:MOST_NAMED_COLUMNS]
    more = len(columns) - len(named)
    return f"; NULL without it: {', '.join(named)}{f' and {more} more' if more else ''}" if named else ""


def _rebuild(settings: Settings, *, as_of: datetime, day: date | None, as_json: bool) -> None:
    from flows.run.plan import plan_past
    from flows.run.publish import outcome_facts
    from flows.run.rebuild import rebuild
    from warehouse.journal import one_run_at_a_time

    run = plan_past(settings, read_profile(settings.profile), as_of.replace(tzinfo=UTC), day=day)
    with one_run_at_a_time(settings.lock_file):
        outcome = rebuild(run)
    result = outcome_facts(outcome) | {"rebuilt_of": outcome.rebuilt_of, "differences": list(outcome.differences)}
    if as_json:
        click.echo(json.dumps(result, indent=2))
        return
    click.echo(f"Publication as of {as_of:%Y-%m-%d %H:%M:%S} UTC: {result['database']}")
    made_of = f"what {outcome.rebuilt_of} published" if outcome.rebuilt_of else "what was known at that moment"
    click.echo(f"It is {made_of}, up to {result['day']}.")
    for difference in outcome.differences:
        click.echo(f"Not as then: {difference}")
