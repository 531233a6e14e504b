"""The card on the Hub: what a person wrote there stays, and what was changed elsewhere is not overwritten."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hub_setup import REPO, dataset_of, published
from loopback_hub import LoopbackHub
from loopback_repo import Commit, File

from stepforge.pipelines.reports.card.peoples_section import read_card
from stepforge.schemas.errors import BadInput


def on_the_hub(hub: LoopbackHub, change: Callable[[str], str]) -> None:
    """Change the card on the Hub as a person does."""
    repo = hub.repos[REPO]
    text = change(repo.main.files["README.md"].content.decode())
    files = {**repo.main.files, "README.md": File(text.encode(), lfs=False)}
    repo.add("main", Commit(files, repo.branches["main"], "by hand"))


def kept(text: str) -> Callable[[str], str]:
    return lambda card: card.replace("is kept -->\n", f"is kept -->\n{text}\n")


def kept_on_the_hub(hub: LoopbackHub) -> str:
    card = read_card(hub.repos[REPO].main.files["README.md"].content.decode())
    assert card is not None
    assert card.intact
    return card.kept


def test_the_kept_section_of_the_card_on_the_hub_stays(run: Path, larger: Path, hub: LoopbackHub) -> None:
    published(run)
    on_the_hub(hub, kept("Cite us."))
    for folder in (run, larger, larger):
        published(folder)
        assert kept_on_the_hub(hub) == "Cite us.\n"
    assert "none, everything is up to date" in published(larger)
    assert read_card((larger / "datasets" / "README.md").read_text()) == dataset_of(larger).card


def test_a_card_that_was_changed_elsewhere_on_the_hub_is_not_overwritten(
    run: Path, larger: Path, hub: LoopbackHub
) -> None:
    published(run)
    for changed in (lambda card: card.replace("# Process supervision data", "# Our data"), lambda card: "# By hand\n"):
        on_the_hub(hub, changed)
        with pytest.raises(BadInput, match=r"README\.md on the Hub was changed outside its kept section"):
            published(larger)
    assert hub.commits_sent == 1


def test_text_in_both_kept_sections_is_not_chosen_between(run: Path, copy: Path, hub: LoopbackHub) -> None:
    published(copy)
    card = copy / "datasets" / "README.md"
    card.write_text(kept("From here.")(card.read_text()))
    on_the_hub(hub, kept("From there."))
    with pytest.raises(BadInput, match="both have new text"):
        published(copy)
    card.write_text(kept("From here.")(dataset_of(run).card.text))
    on_the_hub(hub, lambda text: text.replace("From there.\n", ""))
    published(copy)
    assert kept_on_the_hub(hub) == "From here.\n"
    card.write_text(card.read_text().replace("From here.", "Newer."))
    published(copy)
    assert kept_on_the_hub(hub) == "Newer.\n"
