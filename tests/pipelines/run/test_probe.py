"""What an engine must be able to do is asked before the first problem."""

import asyncio

import pytest
from fakes import Writer, a_problem
from run_files import a_run

from stepforge.labelers import AnswerLikelihood
from stepforge.pipelines.run.probe import check_answers
from stepforge.schemas.errors import BadInput


def test_an_engine_that_cannot_read_a_given_text_is_refused_for_a_labeler_that_reads() -> None:
    engine, run = Writer("7 + 5 = 12\nAnswer: 12\n"), a_run()
    asyncio.run(check_answers(engine, run, a_problem()))
    reads = run.model_copy(update={"label": (AnswerLikelihood(),)})
    with pytest.raises(BadInput, match=r"^label\.answer_likelihood: the engine does not say how likely"):
        asyncio.run(check_answers(engine, reads, a_problem()))
