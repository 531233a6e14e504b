"""Whether a completion can be true. What cannot is an error of the engine; it says nothing about the steps before."""

from stepforge.schemas.protocols import Completion

MOST_TOKENS = 2**31
"""More than any context holds."""


def sound(completion: Completion) -> Completion:
    """Return the completion, or an error in its place where it cannot be true.

    A finished text that no token was written for, tokens that do not fit the text, a text that is no Unicode and
    counts that nobody can count are faults of the engine. They say nothing about the steps that went before, and none
    of it may reach the journal: it would be found there again at every try.
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
