"""Questions renumbered, and reworded by rules. Two sets of rules that share none: thresholds are tuned on one alone."""

import re
from collections.abc import Callable
from random import Random

Rewording = Callable[[str, Random], str]

_NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?![\w.])")
_SENTENCE = re.compile(r"(?<=[.?!])\s+(?=[A-Z$])")
_WORD = re.compile(r"[A-Za-z]+")
_SPELLED = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]

_TUNING = {
    "how many": "what number of", "how much": "what amount", "find": "give", "what is": "give", "compute": "work out",
    "each": "every", "buys": "gets", "bought": "got", "total": "overall", "gave": "handed", "gives": "hands",
    "makes": "earns", "has": "holds", "have": "hold", "had": "held", "spends": "uses", "more": "additional",
    "value": "worth", "equal": "same", "day": "24 hours", "costs": "goes for", "cost": "price", "if": "suppose",
    "left": "remaining", "took": "needed", "takes": "needs", "week": "seven days", "sells": "trades",
}  # fmt: skip
_REPORTED = {
    "how many": "tell the count of", "how much": "state the sum that", "find": "determine", "what is": "calculate",
    "compute": "evaluate", "each": "apiece", "buys": "purchases", "bought": "purchased", "buy": "purchase",
    "total": "in all", "gave": "passed on", "gives": "passes on", "makes": "produces", "has": "owns", "have": "own",
    "had": "owned", "spends": "pays out", "spent": "paid out", "more": "further", "fewer": "less", "value": "number",
    "costs": "is priced at", "cost": "is priced at", "money": "cash", "dollars": "bucks", "left": "still there",
    "takes": "requires", "took": "required", "sells": "offers", "sold": "parted with", "friends": "pals",
    "house": "home", "car": "automobile", "children": "kids", "kids": "youngsters", "school": "class",
    "wants": "wishes", "needs": "must have", "begin": "start", "started": "began", "store": "shop", "big": "large",
    "small": "little", "every": "each single", "per": "for each", "average": "mean", "positive": "greater than zero",
    "integer": "whole number", "integers": "whole numbers", "greatest": "largest", "smallest": "least",
    "possible": "attainable", "express": "write", "suppose": "assume", "let": "say", "there are": "we see",
    "there is": "we see", "he": "this man", "she": "this woman", "his": "the man's", "her": "the woman's",
    "they": "these people", "their": "these people's", "when": "at the time that", "after": "following",
    "before": "prior to", "also": "too", "only": "just", "then": "next", "all": "the whole of", "some": "a few",
    "many": "lots", "number": "quantity", "answer": "result", "equation": "relation", "function": "map",
    "does": "will", "will": "is going to", "can": "is able to", "year": "twelve months", "years": "times twelve months",
    "weeks": "seven-day spells", "minutes": "min", "hours": "h", "hour": "h", "miles": "mi", "feet": "ft",
}  # fmt: skip
_NAMES = ("Zora", "Quentin", "Ottilie", "Baxter", "Ludmila", "Ferenc", "Yvaine", "Caspian", "Perpetua", "Isolde")


def renumbered(question: str, rng: Random) -> str:
    """Return a question with every number replaced by another of as many digits."""

    def other(found: re.Match[str]) -> str:
        whole, point, decimals = found[0].partition(".")
        drawn = str(rng.randint(10 ** (len(whole) - 1) + 1, 10 ** len(whole) - 1))
        return drawn + point + "".join(rng.choice("123456789") for _ in decimals)

    return _NUMBER.sub(other, question)


def reworded_for_tuning(question: str, rng: Random) -> str:
    """Return a question with words swapped by one thesaurus, one word in eight left out, and sentences moved."""
    text = _swapped(question, _TUNING)
    pieces = [piece for piece in text.split(" ") if not (piece.isalpha() and rng.random() < 0.12)]
    sentences = _SENTENCE.split(" ".join(pieces))
    rng.shuffle(sentences)
    return "Here is a task. " + " ".join(sentences)


def reworded(question: str, rng: Random) -> str:
    """Return a question with other names, another thesaurus, numbers as words, and the question put first."""
    text = _renamed(question, rng)
    text = _swapped(text, _REPORTED)
    text = _NUMBER.sub(lambda found: _spelled(found[0]), text)
    *told, asked = _SENTENCE.split(text)
    return " ".join([asked.rstrip("?.") + ", given the following?", *(f"We know this: {s}" for s in told)])


def _spelled(number: str) -> str:
    return _SPELLED[int(number)] if number.isdigit() and int(number) < len(_SPELLED) else number


def _swapped(text: str, thesaurus: dict[str, str]) -> str:
    pattern = re.compile(rf"(?<![\\\w])({'|'.join(sorted(thesaurus, key=len, reverse=True))})(?!\w)", re.IGNORECASE)
    return pattern.sub(lambda found: thesaurus[found[0].lower()], text)


def _renamed(text: str, rng: Random) -> str:
    """Replace words that are always capitalized and also stand inside a sentence: names, mostly."""
    inside = set(re.findall(r"(?<=[a-z,] )([A-Z][a-z]{2,})", text))
    names = {word for word in inside if word.lower() not in _WORD.findall(text)}
    fresh = rng.sample(_NAMES, len(_NAMES))
    new = {name: fresh[i % len(fresh)] for i, name in enumerate(sorted(names))}
    return _WORD.sub(lambda found: new.get(found[0], found[0]), text)
