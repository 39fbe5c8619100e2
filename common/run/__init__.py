"""The stage contract: experiments, flags, jobs, run records."""

from common.run.competition import lazy
from common.run.stage import Stage

__all__ = ["Stage", "lazy"]
