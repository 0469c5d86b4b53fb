"""`candor torture`: batch jobs under random faults and under Lambda's quotas, and the inputs that cost most."""

import os

import click
from tqdm import tqdm

from candor.cli import options
from candor.cli.errors import absent


@click.command(
    short_help="Run batch jobs under random faults.", epilog="\b\nExample:\n  candor torture --schedules 100 --seed 7"
)
@click.option(
    "--schedules", type=options.Whole(1), default=2000, show_default=True, metavar="N", help="Schedules to run."
)
@click.option(
    "--seed", type=options.Whole(0), default=0, show_default=True, metavar="N", help="Seed of the first schedule."
)
@click.option(
    "--costs",
    type=options.Whole(0),
    default=120,
    show_default=True,
    metavar="N",
    help="CPU seconds to search for the costliest inputs; 0: do not.",
)
def torture(schedules: int, seed: int, costs: int) -> int:
    """Run batch jobs on a fake of AWS under random faults, and compare their results with those of a faultless run.

    A schedule is a file format and up to three faults: refusals, lost answers, torn bodies, killed functions. Then
    simulate jobs of 1 to 400 chunks, of 1 to 200 seconds each, in accounts with 2 to 1,000 concurrent executions. Then
    search for the texts, files and requests that take most CPU against plain English of the same size. Exit status 1
    if a job lost, doubled or changed a row, or did not end as it should, or if an input takes more than 4 times as
    much, or 12 times where every few bytes are personal data.
    """
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        os.environ[name] = "testing"  # nothing here may reach an account
    os.environ.setdefault("AWS_DEFAULT_REGION", "eu-central-1")
    try:
        from candor.cli.torture.quota import simulate, sweep
        from candor.cli.torture.schedules import trial
    except ModuleNotFoundError as error:
        raise absent(error, "torture") from None
    broken = [
        fault
        for number in tqdm(range(seed, seed + schedules), "schedules", leave=False, disable=None)
        if (fault := trial(number))
    ]
    jobs = list(sweep())
    wrong = [
        f"{job}: {fault}"
        for number, job in enumerate(tqdm(jobs, "quotas", leave=False, disable=None), seed)
        if (fault := simulate(job, number)[1])
    ]
    for fault in broken + wrong:
        click.echo(fault)
    click.echo(f"{schedules:,} schedules of faults, {len(broken):,} of them broke a promise")
    click.echo(f"{len(jobs):,} jobs under Lambda's quotas, {len(wrong):,} of them ended wrong")
    return int(bool(broken or wrong) or (costs > 0 and show_costs(costs, seed)))


def show_costs(seconds: int, seed: int) -> bool:
    """Print the costliest inputs of each way. Return whether one is over its bar."""
    from candor.cli.torture.costs import worst

    over = 0
    for way, found in worst(seconds, seed):
        over += found[0].share > 1
        click.echo(
            f"{way.name}: {found[0].ratio:.1f} times the CPU of plain English, at most {found[0].bar:.0f} allowed"
        )
        for each in found[:3]:
            click.echo(f"  {each.ratio:.1f} {ascii(''.join(each.pieces))[:80]}")
    return over > 0
