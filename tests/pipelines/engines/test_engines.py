"""One set of promises, kept by every engine: exact prefixes, honest ends, independent seeds, harmless cancelling."""

import asyncio
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from engine_setup import CONTEXT, QUESTION, Loop, ServerProcess, ask, tiny_model

from stepforge.pipelines.engines import (
    ScriptedEngineSettings,
    ServerEngineSettings,
    TransformersEngineSettings,
    VllmEngineSettings,
)
from stepforge.pipelines.engines.load import EngineLoad
from stepforge.schemas.errors import BadInput
from stepforge.schemas.protocols import Completion, Engine, EngineDead, Message

HAS_VLLM = importlib.util.find_spec("vllm") is not None
needs_vllm = pytest.mark.skipif(not HAS_VLLM, reason="vLLM is not installed")
pytestmark = [pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning")]
ENGINES = [
    "scripted",
    "transformers",
    pytest.param("vllm", marks=needs_vllm),
    pytest.param("server", marks=[needs_vllm, pytest.mark.slow]),
]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module", autouse=True)
def starting_server(
    request: pytest.FixtureRequest, model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerProcess | None]:
    """Start the server before the first test, so that it is up when the others have had their turn."""
    wanted = HAS_VLLM and any("[server]" in item.nodeid for item in request.session.items)
    server = ServerProcess(model, tmp_path_factory.mktemp("server") / "log") if wanted else None
    yield server
    if server is not None:
        server.kill()


@pytest.fixture(scope="module", params=ENGINES)
def engine(
    request: pytest.FixtureRequest, model: Path, run: Loop, starting_server: ServerProcess | None
) -> Iterator[Engine]:
    common: dict[str, Any] = {"model": str(model), "dtype": "float32", "max_model_len": CONTEXT, "logprobs": True}
    match request.param:
        case "scripted":
            settings: Any = ScriptedEngineSettings(
                error_rate=0.6, recovery_rate=0.4, latency_ms=30, max_model_len=CONTEXT
            )
        case "transformers":
            settings = TransformersEngineSettings(**common)
        case "vllm":
            settings = VllmEngineSettings(**common, kv_cache_gib=0.5)
        case _:
            assert starting_server is not None
            starting_server.wait_until_ready()
            settings = ServerEngineSettings(
                address=starting_server.address, tokenizer=str(model), retries=0, logprobs=True
            )
    opened = run(settings.open(), 240)
    yield opened
    run(opened.close())
    with pytest.raises(EngineDead):
        run(ask(opened))


def check_whole(engine: Engine, completion: Completion) -> None:
    """Text, tokens and their ends belong together."""
    assert len(completion.token_ends) == len(completion.token_ids)
    assert completion.token_ends == engine.token_ends(completion.token_ids)
    assert list(completion.token_ends) == sorted(completion.token_ends)
    assert completion.token_ends[-1:] == ((len(completion.text),) if completion.token_ids else ())
    assert len(completion.token_ids) <= completion.tokens <= len(completion.token_ids) + 1


def test_going_on_from_a_cut_gives_the_same_tokens(engine: Engine, run: Loop) -> None:
    asked = engine.encode(QUESTION)
    (whole,) = run(ask(engine, temperature=0, max_tokens=40))
    check_whole(engine, whole)
    for cut in (1, 7, 12, 23, len(whole.token_ids) - 1):
        kept = whole.token_ids[:cut]
        (rest,) = run(ask(engine, QUESTION, ids=asked + kept, temperature=0, max_tokens=40 - cut))
        check_whole(engine, rest)
        assert kept + rest.token_ids == whole.token_ids
        assert whole.text[: whole.token_ends[cut - 1]] + rest.text == whole.text
        assert rest.finish == whole.finish


def test_a_given_text_is_as_likely_as_when_it_was_written(engine: Engine, run: Loop) -> None:
    async def read() -> tuple[list[Completion], list[Completion]]:
        written = await ask(engine, n=3, max_tokens=15)
        texts = [(engine.encode(QUESTION) + w.token_ids, len(w.token_ids)) for w in written]
        again = [ask(engine, ids=ids, max_tokens=1, scored=count) for ids, count in texts]
        return written, [c for answer in await asyncio.gather(*again, ask(engine, max_tokens=5)) for c in answer]

    written, again = run(read())
    assert again.pop().finish == "length"  # computed in the same batch
    for wrote, told in zip(written, again, strict=True):
        if engine.identity.engine == "scripted":
            assert told.error == "no model: it cannot tell how likely a given text is"
            continue
        check_whole(engine, told.model_copy(update={"tokens": len(told.token_ids)}))
        assert (told.text, told.token_ids) == (wrote.text, wrote.token_ids)
        assert told.logprobs == pytest.approx(wrote.logprobs, abs=1e-3)


def test_truncation_comes_back_as_length(engine: Engine, run: Loop) -> None:
    for completion in run(ask(engine, n=3, max_tokens=5)):
        check_whole(engine, completion)
        assert (completion.finish, completion.tokens, len(completion.token_ids)) == ("length", 5, 5)
        assert completion.error is None


def test_the_end_of_the_context_comes_back_as_length(engine: Engine, run: Loop) -> None:
    ids = (engine.encode("Ann has 7 coins. ") * CONTEXT)[: CONTEXT - 3]
    (completion,) = run(ask(engine, ids=ids, temperature=0, max_tokens=400))
    assert completion.finish == "length"
    assert 1 <= completion.tokens <= 4


def test_a_prompt_that_cannot_be_read_harms_nobody_else(engine: Engine, run: Loop) -> None:
    async def together() -> list[list[Completion]]:
        return await asyncio.gather(
            ask(engine, ids=engine.encode("1 ") * CONTEXT, n=2),
            ask(engine, n=2, max_tokens=20),
            ask(engine, "", ids=(), n=2),
            ask(engine, ids=(10**9,), n=2),
            ask(engine, n=2, max_tokens=20, seed=1),
        )

    too_long, fine, empty, unknown, also_fine = run(together())
    for completion in [*too_long, *empty, *unknown]:
        assert (completion.finish, completion.text, completion.tokens) == ("error", "", 0)
        assert completion.error and "\n" not in completion.error
    assert all(c.finish != "error" and c.text for c in [*fine, *also_fine])


def test_a_lone_surrogate_is_an_error_of_its_own(engine: Engine, run: Loop) -> None:
    completions = run(ask(engine, "\ud800 is no text", ids=(), max_tokens=5))
    assert completions[0].finish in ("error", "length")


def test_samples_are_independent(engine: Engine, run: Loop) -> None:
    def texts(seed: int) -> list[str]:
        return [c.text for c in run(ask(engine, n=8, seed=seed, temperature=2.0, max_tokens=150))]

    first, second = texts(1), texts(2)
    assert len(set(first)) > 4
    assert len(set(first) & set(second)) <= 2  # seeds made by adding would share seven of eight
    if engine.identity.engine in ("scripted", "transformers"):
        assert texts(1) == first


def test_a_stop_text_ends_the_text_before_it(engine: Engine, run: Loop) -> None:
    (whole,) = run(ask(engine, temperature=0, max_tokens=40))
    stop = whole.text[20:22]
    (cut,) = run(ask(engine, temperature=0, max_tokens=40, stop=(stop, "never written")))
    check_whole(engine, cut)
    assert cut.text == whole.text[: whole.text.index(stop)]
    assert cut.finish == "stop"


def test_cancelling_frees_the_engine(engine: Engine, run: Loop) -> None:
    async def cancel() -> list[Completion]:
        long = [asyncio.create_task(ask(engine, n=8, seed=i, temperature=2.0, max_tokens=400)) for i in range(4)]
        await asyncio.sleep(0.02)
        for task in long:
            task.cancel()
        ended = await asyncio.gather(*long, return_exceptions=True)
        assert all(isinstance(end, asyncio.CancelledError) for end in ended)
        return await ask(engine, max_tokens=10)

    assert run(cancel())[0].finish == "length"
    assert not getattr(engine, "_unfinished", ())


def test_vllm_reports_its_load(engine: Engine, run: Loop) -> None:
    if not hasattr(engine, "load"):
        pytest.skip("this engine does not report its load")

    async def loads() -> list[EngineLoad]:
        asked = asyncio.create_task(ask(engine, n=16, temperature=2.0, max_tokens=100))
        seen = []
        while not (await asyncio.wait([asked], timeout=0.005))[0]:
            seen.append(engine.load)
        return seen

    running, usage, _ = zip(*run(loads()), strict=True)
    assert 0 < max(running) <= 16
    assert 0 < max(usage) <= 1


def test_usage_is_counted(engine: Engine, run: Loop) -> None:
    text = QUESTION * 3
    for _ in range(2):
        (completion,) = run(ask(engine, text, max_tokens=6))
        assert completion.prompt_tokens == len(engine.encode(text))
    if engine.identity.engine in ("vllm", "server"):
        assert 32 <= completion.cached_tokens < completion.prompt_tokens
    if engine.identity.engine != "scripted":
        assert completion.mean_logprob is not None
        assert completion.mean_logprob < 0


def test_token_ends_are_exact(engine: Engine) -> None:
    text = "Ann has 7 coins, Zoë: ½ 🙂\n\n ok"
    ids = engine.encode(text)
    ends = engine.token_ends(ids)
    assert len(ends) == len(ids)
    assert ends[-1] == len(text)
    assert engine.token_ends(()) == ()
    place = text.index("🙂")
    inside = [end for end in ends if place <= end <= place + 1]
    assert inside[0] == place
    assert inside[-1] == place + 1


def test_without_a_chat_template_chat_is_refused(engine: Engine) -> None:
    with pytest.raises(ValueError, match="template"):
        engine.chat([Message(role="user", content="hello")])


def test_the_identity_names_the_weights(engine: Engine) -> None:
    identity = engine.identity
    assert identity.engine in ("scripted", "transformers", "vllm", "server")
    if identity.engine in ("transformers", "vllm"):
        assert len(identity.digest) == 32
        assert identity.version


@pytest.mark.parametrize(
    "settings",
    [
        TransformersEngineSettings(model="./no/such/folder"),
        TransformersEngineSettings(model="/no/such/folder"),
        pytest.param(VllmEngineSettings(model="/no/such/folder"), marks=needs_vllm),
        ServerEngineSettings(address="http://127.0.0.1:9/v1"),
        ServerEngineSettings(api_key_variable="STEPFORGE_NO_SUCH_VARIABLE"),
    ],
    ids=lambda s: s.kind,
)
def test_what_is_not_there_is_said_in_one_line(settings: Any, run: Loop) -> None:
    with pytest.raises(BadInput, match="engine") as caught:
        run(settings.open())
    assert "\n" not in str(caught.value)


def test_a_request_out_of_time_is_an_error(model: Path, run: Loop) -> None:
    engine = run(TransformersEngineSettings(model=str(model), request_timeout=0.001).open())
    (completion,) = run(ask(engine, temperature=2.0, max_tokens=400))
    assert completion.finish in ("error", "stop")
    assert completion.tokens < 400
    run(engine.close())
