"""The stage contract: what every numbered script does around its function in pipeline.py.

    if __name__ == "__main__":
        Stage(COMPETITION, "infer", __doc__).run(lazy("competitions.etci_flood.pipeline:infer"))

This module parses the flags, resolves data, experiment and profile, runs the parents of an ensemble first,
skips what is done, keeps unfinished work for the next try, writes the run record, and turns every fault of
the input into one line and exit code 2. `lazy` imports pipeline.py, and torch or tensorflow with it, only
when there is work to do, so that `--help` and "done already" answer at once.
"""

import argparse
import os
from dataclasses import dataclass
from typing import Generic

from common.run.command import keep_caches_in, run_command
from common.run.competition import Competition
from common.run.experiments import AnyExperiment
from common.run.flags import StageArgs, StageFlags, parse_stage_flags
from common.run.job import Method, StageName
from common.run.own_data import OwnDataFlags
from common.run.units import StageRun


@dataclass
class Stage(Generic[AnyExperiment]):
    """One numbered script of one competition."""

    competition: Competition[AnyExperiment]
    name: StageName
    doc: str | None
    args: StageArgs | None = None
    """Flags that this stage has besides the common ones, --weights say."""
    own_data: OwnDataFlags | None = None
    """In infer: the flags that ask for data of the user's own in place of the official test split."""

    def run(self, method: Method, pool: Method | None = None, argv: list[str] | None = None) -> None:
        """Parse the command line and do the work; leaves the process with 0, 2 (bad input) or 130 (stopped).

        Parameters
        ----------
        method : does one unit of work: the whole stage, or one fold in train_folds.
        pool : in train_folds, called when all folds are there: pools and tunes the out-of-fold predictions.
        """
        # Threads that wait for each other by spinning make torch several times slower while others work.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

        def work() -> None:
            flags = self._parse(argv)
            run = StageRun(self.competition, self.name, self.args, flags, method, pool)
            keep_caches_in(run.paths.caches())
            asked = self.own_data.request(flags.stage_args) if self.own_data else None
            if asked is not None:
                run.own_data(asked)
            else:
                run.experiment(flags.experiment, flags.overrides)

        code = run_command(work)
        if code:
            raise SystemExit(code)

    def _parse(self, argv: list[str] | None) -> StageFlags:
        def add(parser: argparse.ArgumentParser) -> None:
            for group in (self.args, self.own_data):
                if group is not None:
                    group.add(parser)

        own = add if self.args or self.own_data else None
        competition = self.competition
        return parse_stage_flags(self.doc or "", competition.experiments_file, competition.slug, own, argv)
