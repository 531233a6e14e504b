"""Votes of a judge: majorities, ties, what counts as a vote, and what is charged."""

from typing import Any

import pytest
from fakes import a_solution
from hypothesis import given
from hypothesis import strategies as st
from scripted_judge import BAD, VOTES, Scripted, judged, said

from stepforge.labelers import Judge
from stepforge.labelers.judge import DIVIDED, UNREADABLE
from stepforge.labelers.labeling import TRUNCATED
from stepforge.schemas.labeled import Cost, Verdict
from stepforge.schemas.rollout import Finish


def voted(*votes: str, **settings: Any) -> Verdict:
    policy = Scripted(*(said(VOTES.get(vote, vote)) for vote in votes))
    return judged(policy, votes=len(votes), **settings).solutions[0].verdict


def test_the_majority_wins() -> None:
    verdict = voted("2", "3", "2")
    assert verdict.first_error == 1
    assert not verdict.abstained
    assert verdict.posterior is not None
    assert verdict.posterior == pytest.approx((0, 2 / 3, 1 / 3, 0, 0))
    assert verdict.critique == VOTES["2"]
    verdict = voted("none", "1", "none", "none")
    assert verdict.finds_no_error
    assert verdict.posterior == (0.25, 0, 0, 0, 0.75)
    assert verdict.critique == VOTES["none"]
    assert voted("Hm.", "none", "none").critique == VOTES["none"]


def test_agreement_is_a_share_of_readable_votes_and_inclusive() -> None:
    assert voted("1", "1", "2", "3", agreement=0.5).first_error == 0
    assert voted("1", "Hm.", "?", agreement=1.0).first_error == 0
    assert voted("1", "Hm.", "1", "2", agreement=0.66).first_error == 0
    assert voted("1", "Hm.", "1", "2", agreement=0.67).reason == DIVIDED


@pytest.mark.parametrize("unread", ["Wrong step: 5", "Wrong step: 2\nThat is it.", "", "I cannot tell."])
def test_unreadable_votes_are_no_votes(unread: str) -> None:
    assert voted(unread, unread, "3").posterior == (0, 0, 1, 0, 0)
    verdict = voted(unread, unread)
    assert verdict == Verdict(labeler="judge", first_error=None, abstained=True, reason=UNREADABLE)


@pytest.mark.parametrize("finish", ["length", "error"])
def test_votes_that_did_not_end_by_themselves_are_no_votes(finish: Finish) -> None:
    broken = said(VOTES["1"], finish)
    policy = Scripted(broken, broken, said(VOTES["3"]))
    labeled = judged(policy)
    assert labeled.solutions[0].verdict.first_error == 2
    assert labeled.solutions[0].verdict.critique == VOTES["3"]
    assert labeled.costs[0].cost == Cost(rollouts=3, generated_tokens=21, prompt_tokens=60, cached_prompt_tokens=15)
    assert judged(Scripted(broken)).solutions[0].verdict.reason == UNREADABLE


def test_every_vote_on_every_judged_solution_is_charged() -> None:
    policy = Scripted(said(VOTES["1"], tokens=3), said("?", tokens=4), said(VOTES["1"], tokens=5), said("", tokens=0))
    labeled = judged(policy, BAD, a_solution("good", "ab", "correct"), votes=4)
    cost = Cost(rollouts=8, generated_tokens=24, prompt_tokens=160, cached_prompt_tokens=40)
    assert [(entry.labeler, entry.cost) for entry in labeled.costs] == [("judge", cost)]
    assert labeled.evidence == ()
    assert labeled.solutions[0].labels == (None,) * 4


def test_truncated_solutions_are_not_judged_and_right_ones_are() -> None:
    policy = Scripted(said(VOTES["1"]))
    empty = a_solution("empty", "", "wrong")
    labeled = judged(policy, a_solution("cut", "AB", "undetermined"), empty, a_solution("good", "ab", "correct"))
    cut, nothing, good = (solution.verdict for solution in labeled.solutions)
    assert (cut.abstained, cut.reason, nothing.reason) == (True, TRUNCATED, TRUNCATED)
    assert good.first_error == 0
    assert len(policy.prompts) == 3
    assert not policy.asked


@given(st.lists(st.sampled_from([*VOTES, "?"]), min_size=1, max_size=7), st.floats(0, 1))
def test_votes_against_a_count_by_hand(votes: list[str], agreement: float) -> None:
    verdict = Judge(agreement=agreement).verdict([said(VOTES.get(v, v)) for v in votes], 4)
    read = [v for v in votes if v != "?"]
    counts = {v: read.count(v) for v in VOTES}
    best = [v for v in VOTES if counts[v] == max(counts.values())]
    if not read:
        assert verdict.reason == UNREADABLE
        assert verdict.posterior is None
        return
    assert verdict.posterior is not None
    assert verdict.posterior == tuple(counts[v] / len(read) for v in VOTES)
    if len(best) > 1 or counts[best[0]] / len(read) < agreement:
        assert (verdict.reason, verdict.first_error, verdict.critique) == (DIVIDED, None, None)
    else:
        assert not verdict.abstained
        assert verdict.first_error == (None if best[0] == "none" else int(best[0]) - 1)
