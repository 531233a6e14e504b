"""The run file: a list of parts. Every setting has a default except the problems, the engine and the labelers."""

from collections.abc import Sequence
from typing import Annotated, Any

import tomli_w
from pydantic import Field, model_validator

from stepforge.filters import AnyCurateFilter, AnyVetFilter
from stepforge.generators.families import AnyFamily
from stepforge.generators.family import Family, ProblemFamily
from stepforge.generators.policy import PolicySettings
from stepforge.generators.problem_sets import ProblemSet
from stepforge.generators.search import AnySearch, Beam
from stepforge.generators.written import AnyModelSource, ModelSource
from stepforge.labelers import AnyLabeler, AnyPart, Combiner, MathShepherd, speaking
from stepforge.pipelines.engines import AnyEngine
from stepforge.pipelines.exports import AnyExport
from stepforge.pipelines.scorers import AnyScorer
from stepforge.schemas.own_part import OrOwn
from stepforge.schemas.record import Record

AnySource = Annotated[
    AnyFamily | ProblemSet | AnyModelSource, Field(discriminator="kind"), OrOwn(Family, ProblemFamily)
]


DEFAULT_TRAINER = "{python} -m stepforge.pipelines.commands.finetune --data {data} --model {model} --out {out}"


class Workers(Record):
    """How many processes, and how much each works on at a time."""

    engine: int = Field(default=1, ge=1, le=10_000)
    """Number of processes with an engine."""
    cpu: int = Field(default=1, ge=1, le=10_000)
    """Number of processes for the stages without an engine."""
    shards_in_flight: int = Field(default=4, ge=1, le=10_000)
    """Shards in flight on each engine at a time; more keep the engine fuller and take more memory."""
    requests_in_flight: int | None = Field(default=None, ge=1)
    """Requests given to each engine at a time; by default twice what it computes together, so it never runs dry and its
    own queue stays short."""
    gpus_per_engine: float | None = Field(default=None, ge=0)
    """GPUs reserved per engine; by default the engine's tensor parallel size if Ray sees GPUs, else none."""
    max_restarts: int = Field(default=3, ge=0)
    """How often a dead worker is restarted before the run stops."""
    metrics_port: int | None = Field(default=None, ge=1, le=65_535)
    """Port of the driver that serves the run's figures to Prometheus; None for none."""
    metrics_host: str = "127.0.0.1"
    """Address of that port; anything but loopback shows the figures to anyone who can reach it."""


class Watch(Record):
    """What stops a run midway: signs that its engine or policy makes labels worthless. Each limit can be changed, and
    the same command then resumes."""

    least_pass_rate: float = Field(default=0.02, ge=0, le=1)
    """Least pass rate of the policy's own solutions; below it, step 1 of everything looks wrong. Where solutions were
    supplied, that of completions from the question and from steps of right solutions. 0 never stops."""
    most_without_answer: float = Field(default=0.5, ge=0, le=1)
    """Largest share of wrong rollouts without any answer: empty, cut short, or in an unrecognized form. 1 never
    stops."""
    most_identical: float = Field(default=0.5, ge=0, le=1)
    """Largest share of identical pairs among pairs of a problem's solutions with at least one wrong; if
    log-probabilities give the share expected by chance (at temperature 1), the excess over it. 1 never stops."""
    least_after_right_step: float = Field(default=0.5, ge=0)
    """Least pass rate after the first step of a right solution, as a multiple of the question's. 0 never stops."""


class Training(Record):
    """How ``stepforge run --rounds`` makes the next round's policy."""

    command: tuple[str, ...] = Field(default=tuple(DEFAULT_TRAINER.split()), min_length=1)
    """Program and arguments; ``{data}`` is the folder of the round's data sets, ``{model}`` the folder or name of its
    model, ``{out}`` an empty folder for the new one, ``{pairs}`` the file of pairs across rounds, ``{python}`` this
    Python. The default fine-tunes on the ``rejection_sampling`` export."""
    same_problems: bool = False
    """Whether every round has the same problems instead of new ones; then pairs of solutions from different rounds for
    the same question are written to ``cross_round_pairs.jsonl``."""


class RunFile(Record):
    """Everything a run is made of."""

    seed: int = Field(default=0, ge=0)
    problems: int | None = Field(default=None, ge=0, le=1_000_000_000)
    """Problems from each source: from the families together, and from each problem set, whose ``limit`` may be lower.
    By default 100 from the families and all of a problem set; 0, if no family is listed, means all."""
    solutions: int = Field(default=4, ge=1, le=100_000)
    """Solutions sampled per problem. With supplied solutions, none are sampled, unless ``difficulty`` under ``vet``
    needs the policy's own pass rate."""
    rows_per_shard: int = Field(default=25, ge=1, le=10_000)
    test_share: float = Field(default=0.1, ge=0, lt=1)
    """Share of template groups that go to the test split."""
    max_failure_share: float = Field(default=0.01, ge=0, le=1)
    """The run fails when more than this share of its rows could not be finished."""
    generate: tuple[AnySource, ...] = Field(min_length=1)
    engine: AnyEngine
    engines: dict[str, AnyEngine] = Field(default_factory=dict)
    """Further models, by the names under which ``policy.ways`` ask them; every engine worker loads each."""
    policy: PolicySettings = PolicySettings()
    judge: AnyEngine | None = None
    """The engine for ``judge`` labelers; by default the policy's own."""
    solve: AnySearch | None = None
    """Search for solutions instead of independent samples; the best ``solutions`` of what it finds are kept."""
    scorer: AnyScorer | None = None
    """A process reward model that scores every step before it is labeled, for ``reward_model``, ``cascade`` and the
    ``prior`` of ``change_point``."""
    vet: tuple[AnyVetFilter, ...] = ()
    label: tuple[AnyLabeler, ...] = Field(min_length=1)
    """The first one's labels are exported; the others' verdicts are kept too."""
    curate: tuple[AnyCurateFilter, ...] = ()
    export: tuple[AnyExport, ...] = ()
    workers: Workers = Workers()
    watch: Watch = Watch()
    train: Training = Training()

    @model_validator(mode="after")
    def _consistent(self) -> "RunFile":
        if fault := labelers_fault(self.label, scored=self.scorer is not None):
            raise ValueError(f"label: {fault}")
        if self.solve is not None and self.solve.value == "scorer" and self.scorer is None:
            raise ValueError("solve: its value is a reward model's score; name the model under [scorer]")
        if isinstance(self.solve, Beam) and self.policy.segmenter.kind != "line":
            raise ValueError('solve: beam works line by line; set segmenter = { kind = "line" } under [policy]')
        asked = {way.engine for way in self.policy.ways if way.engine is not None}
        if wrong := sorted(asked ^ self.engines.keys()):
            which = (
                "is not used by any of policy.ways"
                if wrong[0] in self.engines
                else "policy.ways use it, but there is no such table"
            )
            raise ValueError(f"engines.{wrong[0]}: {which}")
        _distinct("export", [export.name for export in self.export])
        if taken := sorted({export.name for export in self.export} & {"figures", "traces"}):
            raise ValueError(f"export: the name {taken[0]} is taken by a file in that folder; choose another")
        _distinct("generate", [part.label for part in self.generate if isinstance(part, ProblemSet | ModelSource)])
        families = any(not isinstance(part, ProblemSet | ModelSource) for part in self.generate)
        if families and self.problems == 0:
            raise ValueError("problems: 0, but families are listed under generate")
        return self

    def toml(self) -> str:
        return tomli_w.dumps(_without_none(self.model_dump(mode="json")))


def labelers_fault(labelers: Sequence[AnyPart], *, scored: bool) -> str | None:
    """Return why these labelers cannot label together, with a reward model's scores or without; None if they can."""
    names = [part.name for part in labelers]
    if twice := [name for name in names if names.count(name) > 1]:
        return f"{twice[0]} is listed twice; give one of them another name, or drop it"
    if all(isinstance(part, Combiner) for part in speaking(labelers)):
        return "consensus and contrast need another labeler; list at least one"
    unscored = [part.name for part in labelers if not scored and getattr(part, "reads_scores", False)]
    return f"{unscored[0]} needs a reward model's scores; name the model as scorer" if unscored else None


def _distinct(setting: str, names: list[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"{setting}: {twice[0]} is listed twice; give one of them another name, or drop it")


def engines_by_table(run: RunFile) -> dict[str, AnyEngine]:
    """Return all that sample, by their table of the run file: ``engine``, ``engines.NAME`` and ``judge``."""
    judge = {} if run.judge is None else {"judge": run.judge}
    return {"engine": run.engine} | {f"engines.{name}": engine for name, engine in run.engines.items()} | judge


def runs_by_table(run: RunFile) -> dict[str, RunFile]:
    """Return the run as each of its policies' models is asked, as if it were alone.

    Where another one completes, a model is asked for no labels.
    """
    runs = {"engine": run}
    for way in run.policy.ways:
        if way.engine is not None and way.table not in runs:
            policy = run.policy.model_copy(update={**way.changes, "ways": (), "completer": None})
            runs[way.table] = run.model_copy(update={"engine": run.engines[way.engine], "policy": policy})
    completers = [way.table for way in run.policy.ways if way.name == run.policy.completer] or list(runs)
    return {table: one if table in completers else one.model_copy(update={"label": ()}) for table, one in runs.items()}


def problem_sets(run: RunFile) -> list[ProblemSet]:
    """Return the problem sets of a run, including those that hold seeds."""
    parts = [part.seeds if isinstance(part, ModelSource) else part for part in run.generate]
    return [part for part in parts if isinstance(part, ProblemSet)]


def limited(run: RunFile, limit: int | None) -> RunFile:
    if limit is None:
        return run
    return run.model_copy(update={"problems": min(run.problems, limit) if run.problems else limit})


def recording_of(run: RunFile, completions: int, root: int) -> RunFile:
    """Return the run that draws ``completions`` of every prefix of every wrong solution of another, and ``root`` of
    every question: the dense evidence that ``stepforge bench labelers --recording`` replays every labeler on."""
    dense = MathShepherd(k=completions, root=root, right_solutions=False)
    return run.model_copy(update={"label": (dense,), "curate": (), "export": ()})


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    return [_without_none(item) for item in value] if isinstance(value, list) else value
