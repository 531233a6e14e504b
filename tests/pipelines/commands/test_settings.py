"""Settings and records are listed from the code, and the generated pages are those of the code as it is."""

import pytest
from command_line import invoked

from benchmarks.reference import FOLDER, PAGES
from stepforge.pipelines.commands.settings import parts, settings_of, settings_text
from stepforge.pipelines.settings.run_file import RunFile
from stepforge.schemas.errors import BadInput


@pytest.mark.parametrize("name", PAGES)
def test_the_generated_page_is_up_to_date(name: str) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == PAGES[name](), "run `python -m benchmarks.reference`"


def test_every_kind_is_shown_with_all_its_settings() -> None:
    for kinds in parts().values():
        for kind, record in kinds.items():
            text = settings_text(kind)
            assert all(f"  {name}: " in text for name in record.model_fields)


def test_meanings_come_from_the_code() -> None:
    found = {setting.name: setting for setting in settings_of(RunFile)}
    assert found["test_share"].meaning == "Share of template groups that go to the test split."
    assert (found["problems"].type, found["problems"].default) == ("integer or none", "none")


@pytest.mark.parametrize("arguments", ["settings", "settings omega_prm", "settings omega", "--version", "-h"])
def test_the_command_answers(arguments: str) -> None:
    assert invoked(*arguments.split())[0] == (2 if arguments == "settings omega" else 0)


@pytest.mark.parametrize(
    ("given", "said"),
    [("stepwis", "did you mean stepwise"), ("export", "export takes the kinds stepwise, "), ("qqq", "lists them")],
)
def test_a_kind_that_is_not_there_leads_to_one_that_is(given: str, said: str) -> None:
    with pytest.raises(BadInput, match=f"{given}: no such kind; .*{said}"):
        settings_text(given)
