"""Parts of engines alone: tokenization, settings, digests."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from pydantic import ValidationError
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from stepforge.pipelines.engines import ServerEngineSettings, TransformersEngineSettings
from stepforge.pipelines.engines.model_files import check_there, digest, locate
from stepforge.pipelines.engines.tokenization import ModelTokenizer
from stepforge.schemas.errors import BadInput, first_line


def byte_tokenizer() -> ModelTokenizer:
    """One byte a token, so that characters are cut everywhere; bytes 256 and 257 are joint tokens."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {letter: i for i, letter in enumerate(alphabet)} | {"ab": 256, "bc": 257}
    fast = Tokenizer(models.BPE(vocab=vocabulary, merges=[("a", "b"), ("b", "c")]))
    fast.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    fast.decoder = decoders.ByteLevel()
    return ModelTokenizer(SimpleNamespace(backend_tokenizer=fast, added_tokens_decoder={}, all_special_tokens=[]))


def test_token_ends_are_those_of_decoded_beginnings() -> None:
    tokenizer = byte_tokenizer()
    for text in ("", "abcabc", "é½🙂x🙂", "�a�", "\n \t"):
        ids = tokenizer.encode(text)
        assert tokenizer.decode(ids) == text
        for count, end in enumerate(tokenizer.token_ends(ids), start=1):
            whole = tokenizer.decode(ids[:count])
            assert text.startswith(whole) is (end == len(whole)) or whole.endswith("�")
    assert tokenizer.token_ends(tokenizer.encode("é")) == (0, 1)


def test_ends_of_broken_characters_reach_the_end_of_the_text() -> None:
    tokenizer = byte_tokenizer()
    for text in ("é", "🙂a🙂"):
        for start in range(3):
            for stop in range(1, 5):
                ids = tokenizer.encode(text)[start:-stop]
                ends = tokenizer.token_ends(ids)
                assert list(ends) == sorted(ends)
                assert ends[-1:] == ((len(tokenizer.decode(ids)),) if ids else ())


def test_a_stop_text_inside_a_token_leaves_the_characters_before_it() -> None:
    tokenizer = byte_tokenizer()
    written = tokenizer.read([*tokenizer.encode("x"), 256, *tokenizer.encode("z")], stop=("bz",))
    assert written.text == "xa"
    assert tokenizer.decode(written.token_ids) == "xa"
    assert written.token_ends == (1, 2)


def sentencepiece_tokenizer(template: str = "") -> ModelTokenizer:
    """As Llama 2's: a blank before every text, taken away by decoding, and a token before every plain text."""
    bytes_ = {f"<0x{i:02X}>": 3 + i for i in range(256)}
    letters = {letter: 300 + i for i, letter in enumerate("\u2581abcdefghijklmnopqrstuvwxyzASTQ:.0123456789+=[]/")}
    joint = {"\u2581S": 400, "\u2581a": 401, "So": 402}
    vocabulary = {"<unk>": 0, "<s>": 1, "</s>": 2} | bytes_ | letters | joint
    merges = [("\u2581", "S"), ("\u2581", "a"), ("S", "o")]
    fast = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, byte_fallback=True, unk_token="<unk>"))  # noqa: S106
    fast.normalizer = normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
    fast.decoder = decoders.Sequence(
        [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    fast.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    fast.add_special_tokens([AddedToken("<s>", normalized=False), AddedToken("</s>", normalized=False)])
    added = {1: AddedToken("<s>", special=True), 2: AddedToken("</s>", special=True)}
    source = SimpleNamespace(backend_tokenizer=fast, added_tokens_decoder=added, all_special_tokens=["<s>", "</s>"])
    return ModelTokenizer(source)


@pytest.mark.parametrize("text", [" So a", "So a", "  two", "\n\n So", "a\u4e2d b", " ", "\n", "", "7 + 1 = 8.\n"])
def test_a_continuation_keeps_its_leading_blank(text: str) -> None:
    tokenizer = sentencepiece_tokenizer()
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert len(tokenizer.token_ends(ids)) == len(ids)
    assert tokenizer.token_ends(ids)[-1:] == ((len(text),) if text else ())
    assert tokenizer.read(ids) == (text, ids, tokenizer.token_ends(ids))


def test_pieces_of_a_solution_join_to_its_tokens() -> None:
    tokenizer = sentencepiece_tokenizer()
    prompt = tokenizer.encode_prompt("Q: 3 + 4 =\n", bos=True)
    steps = ["So a is 7.", " So b.\n\n", "So c."]
    ids = [tokenizer.encode(step) for step in steps]
    assert [tokenizer.decode(step) for step in ids] == steps
    assert (*prompt, *ids[0], *ids[1], *ids[2]) == tokenizer.encode_prompt("Q: 3 + 4 =\n" + "".join(steps), bos=True)


def test_a_plain_prompt_begins_with_one_token_of_its_own() -> None:
    tokenizer = sentencepiece_tokenizer()
    bare, dressed = (tokenizer.encode_prompt("Q: 3 + 4", bos=bos) for bos in (False, True))
    assert dressed == (1, *bare)
    assert bare[0] != 1
    for text in ("<s>Q: 3", "<s>[TSA] Q: 3"):
        assert tokenizer.encode_prompt(text, bos=True) == tokenizer.encode_prompt(text, bos=False)
        assert tokenizer.encode_prompt(text, bos=True).count(1) == 1
    assert byte_tokenizer().encode_prompt("a b", bos=True) == byte_tokenizer().encode("a b")


def test_importing_the_settings_loads_no_model_library() -> None:
    code = (
        "import sys, stepforge.pipelines.engines as e; e.VllmEngineSettings();"
        "print([m for m in ('torch', 'vllm', 'transformers', 'httpx', 'tokenizers') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_address_with_a_password_is_refused() -> None:
    with pytest.raises(ValidationError, match="without @"):
        ServerEngineSettings(address="http://me:secret@host/v1")


def test_the_digest_changes_with_weights_and_tokenizer_alone(tmp_path: Path) -> None:
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        (tmp_path / name).write_text("1")
    before = digest(locate(str(tmp_path)), None)
    (tmp_path / "config.json").write_text("2")
    assert digest(str(tmp_path), None) == before
    for name in ("model.safetensors", "tokenizer.json"):
        (tmp_path / name).write_text("2")
        after = digest(str(tmp_path), None)
        assert after != before
        before = after
    assert digest("org/name", "abc123") == "abc123"


def test_a_model_that_is_nowhere_is_refused_before_the_engine_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(BadInput, match="no-such-org/no-such-model: not in the local cache, and"):
        check_there("no-such-org/no-such-model", None)
    check_there("embedded", None)
    check_there("org/name-GGUF:Q4_K_M", None)  # a form of vLLM's that the Hub's client does not know


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"config\.json"):
        locate(str(tmp_path))


def test_one_line_of_a_validation_error_is_its_place_and_reason() -> None:
    with pytest.raises(ValidationError) as caught:
        TransformersEngineSettings(kind="transformers", batch_size=0)
    assert first_line(caught.value) == "batch_size: Input should be greater than or equal to 1"
    assert first_line(ValueError("first\nsecond")) == "first"
    assert first_line(KeyError()) == "KeyError"


def test_both_carried_models_are_found_by_name_and_cut_plain_text_alike() -> None:
    plain, free = (Tokenizer.from_file(f"{locate(name)}/tokenizer.json") for name in ("embedded", "embedded-free"))
    text = "Solve for x: 5(x + 2) - 3 = 2x + 22\nL1 = 5 * 2 = 10\nWait: L1 = 10\nAnswer: 5"
    assert plain.encode(text).tokens == free.encode(text).tokens
    assert free.decode(free.encode("Twenty-one \u00fc \u221a").ids) == "Twenty-one \u00fc \u221a"
