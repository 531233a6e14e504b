"""Whether a completion is possible. An impossible one is an engine error and says nothing about the steps before."""

from stepforge.schemas.protocols import Completion

MOST_TOKENS = 2**31
"""Larger than any context."""


def sound(completion: Completion) -> Completion:
    """Return the completion, or an error if it is impossible.

    A finished text without tokens, tokens that do not match the text, invalid Unicode and impossible counts are engine
    faults. They say nothing about earlier steps, and must not reach the journal, or every retry would find them again.
    """
    counts = (completion.tokens, completion.prompt_tokens, completion.cached_tokens)
    if not all(0 <= count <= MOST_TOKENS for count in counts):
        return Completion.failed(
            f"the engine counts its tokens as {', '.join(str(count)[:12] for count in counts)}", "server"
        )
    if completion.finish == "error":
        return completion
    if completion.tokens < 1:
        return Completion.failed("the engine returned a completion without a token", "server")
    if not _is_unicode(completion.text):
        return Completion.failed("the engine returned a text that is not valid Unicode (a lone surrogate)", "server")
    ids, ends = completion.token_ids, completion.token_ends
    in_order = len(ids) == len(ends) and list(ends) == sorted(ends)
    if not in_order or (ids and (ends[-1] != len(completion.text) or min(ids) < 0 or max(ids) > MOST_TOKENS)):
        return Completion.failed("the engine returned tokens that do not fit their text", "server")
    if len(completion.logprobs) not in (0, len(ids)):
        return Completion.failed("the engine returned log-probabilities that do not fit their tokens", "server")
    return completion


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
