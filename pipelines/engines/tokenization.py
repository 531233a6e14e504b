"""A model's tokenizer. Invariant: a text's tokens decode to it, and the last one ends where it ends."""

from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate
from typing import Any, NamedTuple

from tokenizers.decoders import DecodeStream

from stepforge.schemas.errors import BadInput, first_line
from stepforge.schemas.protocols import Message

PIECES = 1 << 18


class Written(NamedTuple):
    """A text with its tokens: ``token_ends[-1] == len(text)``."""

    text: str
    token_ids: tuple[int, ...]
    token_ends: tuple[int, ...]


ANCHORS = ("\n", ".", "0", "x")
"""Texts to continue from; the first that never merges with what follows is used."""


class ModelTokenizer:
    """Encodes and decodes pieces of text that continue from others; special tokens decode to nothing.

    SentencePiece writes a blank before the beginning of a text, and takes one away when it decodes. A continuation is
    not a beginning, so where it matters every piece is encoded and decoded after an anchor.
    """

    def __init__(self, source: Any) -> None:
        self._source = source
        self._fast = source.backend_tokenizer
        added = source.added_tokens_decoder.values()
        self.special_tokens = frozenset({*source.all_special_tokens, *(t.content for t in added if t.special)})
        """Texts that ``encode`` reads as control tokens; they decode to nothing."""
        self.piece = lru_cache(maxsize=PIECES)(lambda token: self.decode((token,)))
        self._bos = self._opening_tokens()
        self._anchor, self._anchor_text = self._find_anchor()

    def encode(self, text: str) -> tuple[int, ...]:
        """Return the tokens of a text that continues from another. Raises ValueError: the text is not valid Unicode (a
        lone surrogate)."""
        if not self._anchor:
            return self._tokens(text)
        tokens = self._tokens(self._anchor_text + text)
        after = tokens[len(self._anchor) :]
        exact = tokens[: len(self._anchor)] == self._anchor and self.decode(after) == text
        return after if exact else self._tokens(text)

    def encode_prompt(self, text: str, *, bos: bool) -> tuple[int, ...]:
        """Return the tokens of a text that a prompt begins with.

        ``bos``: with the tokens that the tokenizer puts before a text, as vLLM and transformers give a plain text to
        the model, unless the text begins with them.

        Raises:
            ValueError: the text is not valid Unicode (a lone surrogate).
        """
        tokens = self._tokens(text)
        return tokens if not bos or tokens[: len(self._bos)] == self._bos else self._bos + tokens

    def decode(self, token_ids: Sequence[int]) -> str:
        return self._plain((*self._anchor, *token_ids))[len(self._anchor_text) :]

    def _tokens(self, text: str, *, special: bool = False) -> tuple[int, ...]:
        try:
            return tuple(self._fast.encode(text, add_special_tokens=special).ids)
        except (TypeError, UnicodeError) as error:
            raise ValueError(f"text cannot be encoded: {error}") from None

    def has(self, token: int) -> bool:
        return token >= 0 and self._fast.id_to_token(token) is not None

    def _plain(self, token_ids: Sequence[int]) -> str:
        return str(self._fast.decode(list(token_ids), skip_special_tokens=True))

    def _opening_tokens(self) -> tuple[int, ...]:
        """Tokens that the tokenizer puts before a text: for many models, one for its beginning."""
        bare, dressed = self._tokens("a"), self._tokens("a", special=True)
        places = [i for i in range(len(dressed)) if dressed[i : i + len(bare)] == bare]
        return dressed[: places[0]] if places else ()

    def _find_anchor(self) -> tuple[tuple[int, ...], str]:
        """Return the tokens and the text of an anchor; nothing if a piece reads the same at a beginning."""
        for text in ANCHORS:
            tokens = self._tokens(text)
            together = self._tokens(f"{text} b")
            if self._plain(tokens) != text or together[: len(tokens)] != tokens:
                continue
            alone = self._plain(together[len(tokens) :])
            decodes = alone == self._plain(together)[len(text) :]
            encodes = self._tokens(f"{text}b")[len(tokens) :] in (self._tokens("b"), ())
            return ((), "") if decodes and encodes else (tokens, text)
        return (), ""

    def token_ends(self, token_ids: Sequence[int]) -> tuple[int, ...]:
        """Return the length in characters of the text up to each token's end, in linear time.

        A token that ends inside a character ends where the text before that character ends.
        """
        return self._ends(token_ids, self.decode(token_ids))

    def _ends(self, token_ids: Sequence[int], text: str) -> tuple[int, ...]:
        """Usually a text is the concatenation of its tokens' texts; otherwise a token's text depends on those
        before."""
        pieces = [self.piece(token) for token in token_ids]
        if "".join(pieces) == text:
            return tuple(accumulate(map(len, pieces)))
        stream, ends, end = DecodeStream(skip_special_tokens=True), [], 0
        for token in self._anchor:
            stream.step(self._fast, token)
        for token in token_ids:
            piece = stream.step(self._fast, token) or ""
            if not text.startswith(piece, end):
                return self._slow_ends(token_ids, text)
            end += len(piece)
            ends.append(end)
        if ends:
            ends[-1] = len(text)  # the last may end inside a character, which then shows as a replacement character
        return tuple(ends)

    def _slow_ends(self, token_ids: Sequence[int], text: str) -> tuple[int, ...]:
        """For decoders whose pieces do not add up to the whole: decodes every beginning."""
        ends, end = [], 0
        for count in range(1, len(token_ids)):
            beginning = self.decode(token_ids[:count])
            if text.startswith(beginning):
                end = max(end, len(beginning))
            ends.append(end)
        return (*ends, len(text))

    def read(self, token_ids: Sequence[int], stop: Sequence[str] = ()) -> Written:
        """Decode generated tokens up to the first of the ``stop`` texts.

        A token that spans the last wanted characters and the start of the stop text is replaced by the tokens of those
        characters.
        """
        ids = tuple(token_ids)
        text = self.decode(ids)
        ends = self._ends(ids, text)
        cut = first_stop(text, stop)
        if cut is None:
            return Written(text, ids, ends)
        kept = sum(end <= cut for end in ends)
        start = ends[kept - 1] if kept else 0
        ids = ids[:kept] + (self.encode(text[start:cut]) if start < cut else ())
        text = self.decode(ids)
        return Written(text, ids, self._ends(ids, text))

    def chat(self, messages: Sequence[Message], *, answer: bool = True) -> str:
        """Render messages with the model's chat template; with ``answer``, up to where the assistant's turn begins."""
        if not self._source.chat_template:
            raise ValueError("the model has no chat template; set chat = false under [policy]")
        turns = [message.model_dump() for message in messages]
        try:
            return str(self._source.apply_chat_template(turns, tokenize=False, add_generation_prompt=answer))
        except Exception as error:  # a template is a program from the model; it may raise anything
            raise ValueError(f"the chat template rejects the messages: {error}") from error

    def token(self, text: str) -> int:
        found = self._tokens(text)
        if len(found) != 1:
            raise ValueError(f"{text} is not one token of this model's tokenizer")
        return found[0]

    @property
    def bos_token(self) -> int | None:
        """The beginning-of-text token, whether or not the tokenizer adds it automatically."""
        token = self._source.bos_token_id
        return None if token is None else int(token)

    @property
    def end_tokens(self) -> frozenset[int]:
        end = self._source.eos_token_id
        return frozenset() if end is None else frozenset({int(end)})


def first_stop(text: str, stop: Sequence[str]) -> int | None:
    places = [place for place in (text.find(s) for s in stop if s) if place >= 0]
    return min(places) if places else None


def load_tokenizer(source: str, revision: str | None = None) -> ModelTokenizer:
    """Load the tokenizer in a folder or on the hub; code that comes with it is never run. Raises BadInput: there is
    none, or it does not give exact tokens."""
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(source, revision=revision, trust_remote_code=False)
    except Exception as error:  # tokenizers has no class for a damaged file
        raise BadInput(f"engine: no usable tokenizer in {source} ({first_line(error)})") from error
    if getattr(tokenizer, "backend_tokenizer", None) is None:
        raise BadInput(f"engine: {source} has no tokenizer.json, which exact tokens need; convert the tokenizer first")
    return ModelTokenizer(tokenizer)
