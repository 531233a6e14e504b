"""The sentence of every step in free wording, and the steps that come before it: from the sentences of the question."""

from collections.abc import Callable, Sequence
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Literal, NamedTuple

from stepforge.generators.draft import MOST_PARTS, Draft, Sentence
from stepforge.generators.wording.grammar import Grammar, read_grammar
from stepforge.grading.exact import MAX_DEGREE

Part = Literal["all", "tuning", "held_out"]
"""Which forms are drawn: every fifth form of a rule is held out, so that a reader can be measured on unseen ones."""

OPERATIONS = {"+": "plus", "-": "minus", "*": "product"}
SIDES = {"M": "bracket", "N": "collect", "A": "slope", "C": "slope", "D": "move", "x": "unknown"}
EQUATION_NEEDS: dict[str, tuple[str, ...]] = {
    "L2": ("L1",),
    "N": ("L1", "L2", "M"),
    "R2": ("R1",),
    "C": ("A",),
    "D": ("L1", "L2", "M", "N", "R1", "R2"),
    "x": ("L1", "L2", "M", "N", "R1", "R2", "A", "C", "D"),
}
POLYNOMIALS = {"m": "multiple", "s": "total", "d": "derivative", "u": "term", "v": "adding"}
BILL = {"part": "percent", "cost": "several", "sum": "joined", "off": "coupon", "fee": "fee", "change": "change"}
ARTICLE, BILL_ENDS = ("part", "price", "cost"), ("off", "fee", "change")
ROOMS = {"side": "half_around", "walls": "around", "open": "doors", "take": "covering", "more": "spare"}
FLOOR, WALL, ROOM_ENDS = ("area", "hole", "rest"), ("side", "walls", "open"), ("take", "more")


class StepSentences(NamedTuple):
    of: Callable[[str], Sentence]
    """By a step's name; the slots ``expr``, ``value``, ``a``, ``b`` and ``c`` come from the step."""
    needs: Callable[[str], tuple[str, ...]] | None = None
    """The steps, by name, that must come before a step; by default all that the procedure says before it."""


@cache
def solution_grammar(part: Part = "all") -> Grammar:
    folder = Path(__file__).parent / "wording"
    rules = read_grammar(*((folder / f"{name}.txt").read_text() for name in ("steps", "prose", "long"))).rules
    if part == "all":
        return Grammar(rules=rules)
    kept = {
        rule: tuple(f for f in forms if _held_out(rule, f) == (part == "held_out")) for rule, forms in rules.items()
    }
    return Grammar(rules={rule: kept[rule] or forms for rule, forms in rules.items()})


def _held_out(rule: str, form: str) -> bool:
    return blake2b(f"{rule}\n{form}".encode(), digest_size=2).digest()[0] % 5 == 0


def step_sentences(draft: Draft) -> StepSentences:
    """Raises ValueError: the draft has no free wording."""
    told = draft.question
    if isinstance(told, str):
        raise ValueError("the draft has no free wording")
    rule, slots = told[0]
    match rule:
        case "q_fractions":
            operators = slots["text"].split()[1::2]
            return StepSentences(lambda name: Sentence(OPERATIONS[operators[int(name[1:]) - 1]]))
        case "q_linear":
            return StepSentences(_of_equation, lambda name: EQUATION_NEEDS.get(name, ()))
        case "q_gcd" | "q_power":
            return StepSentences(lambda name: Sentence("remainder" if rule == "q_gcd" else "power"))
        case "q_polynomials":
            return StepSentences(lambda name: Sentence(POLYNOMIALS[name[0]]), _needs_of_polynomials)
        case "q_affine" | "q_series":
            return StepSentences(lambda name: _of_term(rule.removeprefix("q_"), name))
        case "q_price":
            return _of_bill(told)
        case "q_room":
            return _of_rooms(told)
        case _:
            return _of_quantities(told)


def _of_equation(name: str) -> Sentence:
    rule = SIDES.get(name) or ("bracket" if name.endswith("1") else "collect")
    return Sentence(rule, {"side": "right" if name.startswith("R") else "left"})


def _needs_of_polynomials(name: str) -> tuple[str, ...]:
    """Terms may be worked out in any order, before they are added up."""
    if name[0] != "v":
        return tuple("msd"[: "msdu".index(name[0])])
    terms = tuple(f"u{power}" for power in range(1, MAX_DEGREE + 1))
    return (*terms, *(f"v{position}" for position in range(1, int(name[1:]))))


def _of_term(rule: str, name: str) -> Sentence:
    number = int(name[1:])
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number, "th")
    return Sentence(rule, {"k": str(number), "kth": f"{number}{ending}", "who": f"term {number}"})


def _of_quantities(told: Sequence[Sentence]) -> StepSentences:
    by_name = {slots["who"]: Sentence(rule.removeprefix("q_"), slots) for rule, slots in told[:-1]}
    return StepSentences(
        by_name.__getitem__, lambda name: tuple(by_name[name].slots[one] for one in "ab" if one in by_name[name].slots)
    )


def _of_bill(told: Sequence[Sentence]) -> StepSentences:
    things = [slots["thing"] for rule, slots in told if rule == "q_price"]
    rises = {slots["thing"] for rule, slots in told if rule.startswith("q_rise")}

    def of(name: str) -> Sentence:
        kind, number = _numbered(name)
        if kind not in ARTICLE:
            return Sentence(BILL[kind], {"thing": "bill"})
        thing = things[int(number) - 1]
        return Sentence(BILL.get(kind, "higher" if thing in rises else "lower"), {"thing": thing})

    return StepSentences(of, lambda name: _needs_of_parts(name, ARTICLE, BILL_ENDS))


def _of_rooms(told: Sequence[Sentence]) -> StepSentences:
    rooms = [slots["room"] for rule, slots in told if rule == "q_room"]
    holes = {slots["room"]: slots["hole"] for _, slots in told if "hole" in slots}
    asked, slots = told[-1]
    wall = asked in ("q_longer", "q_wall") or (slots.get("piece") == "nails" and asked == "q_pieces")
    compared = asked in ("q_longer", "q_larger")
    ends = {"piece": "nails" if wall else "tiles", "unit": "meter" if wall else "square meter"}

    def of(name: str) -> Sentence:
        kind, number = _numbered(name)
        if kind == "sum":
            return Sentence("compared" if compared else "joined", {"thing": "wall" if wall else "floor"})
        if kind in ROOM_ENDS:
            return Sentence(ROOMS[kind], ends)
        room = rooms[int(number) - 1]
        return Sentence(ROOMS.get(kind, kind), {"room": room, "hole": holes[room]})

    return StepSentences(of, _needs_of_rooms)


def _needs_of_rooms(name: str) -> tuple[str, ...]:
    # The hole can be worked out before the room around it.
    if name.startswith("hole"):
        return ()
    if name.startswith(("sum", *ROOM_ENDS)):
        return _needs_of_parts(name, (*FLOOR, *WALL), ROOM_ENDS)
    return _needs_of_parts(name, WALL if name.startswith(WALL) else FLOOR, ROOM_ENDS)


def _numbered(name: str) -> tuple[str, str]:
    kind = name.rstrip("0123456789")
    return kind, name[len(kind) :]


def _needs_of_parts(name: str, own: tuple[str, ...], ends: tuple[str, ...]) -> tuple[str, ...]:
    """Return the steps that must come before a step, where numbered parts are worked out, summed up and then used.

    Part 2 has the steps ``own`` with a 2 after their names, each building on those before it; ``sum2`` adds part 2 to
    what there is, and the steps ``ends`` build on everything before them.
    """
    kind, number = _numbered(name)
    if kind in own:
        return tuple(f"{before}{number}" for before in own[: own.index(kind)])
    if kind in ends:
        done = tuple(f"{before}{part}" for part in range(1, MOST_PARTS + 1) for before in (*own, "sum"))
        return (*done, *ends[: ends.index(kind)])
    parts = range(1, int(number) + 1)
    return (*(f"{before}{part}" for part in parts for before in own), *(f"sum{part}" for part in parts[:-1]))
