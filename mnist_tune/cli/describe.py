"""The command `describe`."""

from __future__ import annotations

from mnist_tune.cli import options
from mnist_tune.cli.options import JobArgument, JsonOption
from mnist_tune.processes import standard_streams


def describe(job: JobArgument, as_json: JsonOption = False) -> None:
    """Show what a job is: its objective and metrics, its hyperparameters with their limits, its source.

    The JSON is what is stored with each study. A job in a file is imported in a process of its own.

    Example: mnist-tune describe mnist
    """
    from mnist_tune.jobs.describing import described
    from mnist_tune.spec.reading import chosen_job
    from mnist_tune.terminal.job_page import job_page

    with described(chosen_job(job).job) as found:
        description = found.description
    if as_json:
        options.print_json(description.stored())
        return
    out = options.console()
    for part in job_page(description, as_tables=standard_streams.is_screen(out.file)):
        out.print(part)
