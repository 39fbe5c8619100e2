"""work/report/index.html: one self-contained page with every finished run."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from common.base.atomic import write_text
from common.report.evaluation import Evaluation, best_baseline, stage_record
from common.report.results_table import figure, reported_score
from common.report.training_curves import draw_training_curves
from common.run.competition import Competition, Figure, Finished
from common.run.experiments import read_experiments

TEMPLATE = Path(__file__).with_name("report.html")
STAGE_TITLES = {
    "preprocess": "1 preprocess",
    "train_folds": "2 train fold",
    "out_of_fold": "2 pool the folds",
    "infer": "3 infer",
    "make_submission": "4 make submission",
}


@dataclass(frozen=True)
class Picture:
    """A figure as the page embeds it."""

    title: str
    caption: str
    source: str
    """data: URL"""


@dataclass(frozen=True)
class Section:
    """One finished experiment on the page."""

    competition: Competition
    finished: Finished
    evaluation: Evaluation
    pictures: list[Picture]

    @property
    def anchor(self) -> str:
        """Target of links on the page."""
        return f"{self.competition.slug}-{self.finished.experiment}"

    @property
    def about(self) -> str:
        """The experiment's line in experiments.toml."""
        return str(self.finished.records[-1].experiment.get("about", ""))

    @property
    def data_note(self) -> str:
        """What it was run on."""
        last = self.finished.records[-1]
        name = "sample data" if last.sample_data else f"data in {self.finished.data.name}/"
        return f"{name}, profile {last.profile}, seed {last.seed}, {last.hardware}, {last.finished[:10]}"

    @property
    def score(self) -> str:
        """The test score, in words when the truth is withheld."""
        return figure(self.evaluation.score) or "test labels hidden"

    @property
    def baseline(self) -> str:
        """The best baseline that needs no model."""
        best = best_baseline(self.competition, self.evaluation.baselines)
        return f"{figure(best[1])} ({best[0]})" if best else ""

    @property
    def comparisons(self) -> list[tuple[str, str]]:
        """Test score, its details and all baselines."""
        rows = [(f"{self.competition.metric}, test", self.score)]
        rows += [(name.replace("_", " "), figure(value)) for name, value in self.evaluation.details.items()]
        return rows + [
            (f"baseline: {name}", figure(value)) for name, value in self.evaluation.baselines.items()
        ]

    @property
    def oof(self) -> list[tuple[str, str]]:
        """Figures of the pooled out-of-fold predictions, and what was tuned on them."""
        record = stage_record(self.finished, "out_of_fold")
        if record is None:
            return []
        tuned = [
            (f"tuned: {name.replace('_', ' ')}", _short(value)) for name, value in record.decision.items()
        ]
        return [(name.replace("_", " "), figure(value)) for name, value in record.metrics.items()] + tuned

    @property
    def headline(self) -> str:
        """The out-of-fold figure of the official metric."""
        return self.oof[0][1] if self.oof else ""

    @property
    def stages(self) -> list[tuple[str, float, float, int]]:
        """Stage, seconds, peak MB, warnings."""
        return [
            (
                STAGE_TITLES[record.stage] + ("" if record.fold is None else f" {record.fold}"),
                record.seconds,
                record.peak_memory_mb,
                record.warnings_count,
            )
            for record in self.finished.records
        ]

    @property
    def warnings(self) -> list[str]:
        """The first faults of the input that did not stop the run."""
        return [message for record in self.finished.records for message in record.warnings][:20]


@dataclass(frozen=True)
class PaperRow:
    """One experiment as the paper has it, and as it was run here."""

    experiment: str
    row: str
    """`Table 2, row 3`; empty for this project's own."""
    reported: str
    ours: str
    """Empty when it is not among the finished runs."""
    anchor: str


def paper_rows(sections: Sequence[Section]) -> list[PaperRow]:
    """The paper's table with the finished runs of one competition, in the order of experiments.toml."""
    competition = sections[0].competition
    finished = {section.finished.experiment: section for section in sections}
    rows = []
    for name, entry in read_experiments(competition.experiments_file).items():
        section = finished.get(name)
        if "paper" not in entry and section is None:
            continue
        ours = ""
        if section is not None:
            ours = f"{section.score} test"
            ours += f", {section.headline} OOF" if section.headline else ""
        anchor = section.anchor if section else ""
        rows.append(PaperRow(name, str(entry.get("paper", "")), reported_score(entry), ours, anchor))
    return rows


def _short(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    text = str(value)
    return text if len(text) <= 160 else text[:157] + "..."


def draw_figures(competition: Competition, finished: Finished, folder: Path) -> list[Figure]:
    """The competition's own pictures and the training curves, as files in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    figures = list(competition.figures(finished, folder))
    curves = folder / "training_curves.png"
    if draw_training_curves(finished.records, curves):
        figures.append(
            Figure(
                curves,
                "Training curves",
                "One line per fold; validation figures (val) are on the held-out fold.",
            )
        )
    return figures


def embedded(drawn: Figure) -> Picture:
    """A figure with its bytes inside."""
    kind = "jpeg" if drawn.path.suffix in (".jpg", ".jpeg") else "png"
    content = base64.b64encode(drawn.path.read_bytes()).decode()
    return Picture(drawn.title, drawn.caption, f"data:image/{kind};base64,{content}")


def write_page(sections: list[Section], path: Path) -> None:
    """Write the page, whole or not at all."""
    import jinja2

    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    by_competition: dict[str, list[Section]] = {}
    for section in sections:
        by_competition.setdefault(section.competition.slug, []).append(section)
    papers = {slug: paper_rows(group) for slug, group in by_competition.items()}
    write_text(path, template.render(sections=sections, by_competition=by_competition, papers=papers))
