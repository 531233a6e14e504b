"""Bills: prices that change by a percentage or an amount, counts, a coupon, a fee, and the change from a note."""

from collections.abc import Iterator
from random import Random
from typing import ClassVar, Literal, NamedTuple

from stepforge.generators.draft import MOST_PARTS, Draft, Say, Sentence, plus, summed
from stepforge.generators.families.quantities import PEOPLE
from stepforge.generators.family import Family
from stepforge.grading.exact import Exact

THINGS = "coat hat lamp book shirt chair plate clock mug bag ball kite".split()
PERCENTAGES = (5, 10, 15, 20, 25, 30, 40, 50, 60, 75)
NOTES = (10, 20, 50, 100, 200, 500, 1000)


class _Article(NamedTuple):
    thing: str
    price: int
    percent: int
    """How much the price changes, in percent; 0 where it does not."""
    amount: int
    """The same, in dollars."""
    many: int

    @property
    def shape(self) -> str:
        sign = {-1: "-", 0: "", 1: "+"}
        percent, amount = (sign[(n > 0) - (n < 0)] for n in (self.percent, self.amount))
        return f"{percent and percent + '%'}{amount and amount + '$'}{'*' if self.many > 1 else ''}"


class _Bill(NamedTuple):
    buyer: str
    articles: tuple[_Article, ...]
    coupon: int
    fee: int
    pays: bool
    note: int = 0
    """What is paid with, where the change is asked for and not the bill."""


class Prices(Family):
    """``A coat costs 80 dollars. The price of the coat falls by 25 percent. Ann buys 3 coats. ...``"""

    kind: Literal["prices"] = "prices"
    domain: ClassVar[str] = "word problems"

    def draft(self, rng: Random, level: int) -> Draft:
        """Write one bill of ``level + 1`` steps; drawn again until every value is small and above zero."""
        while True:
            bill = _bill(rng, level)
            if bill.pays:
                _, total = _draft(bill._replace(pays=False)).solved()
                bill = bill._replace(note=next((note for note in NOTES if note > int(str(total))), 0))
            if (draft := _draft(bill)).fits(level + 1):
                return draft


def _bill(rng: Random, level: int) -> _Bill:
    things = rng.sample(THINGS, rng.randint(1, min(MOST_PARTS, 1 + level // 2)))
    return _Bill(
        buyer=rng.choice(PEOPLE),
        articles=tuple(_article(rng, thing, level) for thing in things),
        coupon=rng.randint(2, 9 + 2 * level) if rng.random() < 0.3 else 0,
        fee=rng.randint(2, 9 + 2 * level) if rng.random() < 0.3 else 0,
        pays=rng.random() < 0.4,
    )


def _article(rng: Random, thing: str, level: int) -> _Article:
    price = rng.choice((rng.randint(3, 20 + 5 * level), 10 * rng.randint(1, 6 + 2 * level)))
    percents = [percent for percent in PERCENTAGES if not price * percent % 100]
    sign, change = rng.choice((-1, -1, 1)), rng.choice(("percent", "amount", ""))
    return _Article(
        thing,
        price,
        percent=sign * rng.choice(percents) if change == "percent" and percents else 0,
        amount=sign * rng.randint(2, max(2, price // 2)) if change == "amount" else 0,
        many=rng.randint(2, 6) if rng.random() < 0.5 else 1,
    )


def _work(bill: _Bill, say: Say) -> Exact:
    total = summed([_cost(article, place, say) for place, article in enumerate(bill.articles, start=1)], say)
    if bill.coupon:
        total = say("off", f"{total} - {bill.coupon}", total - bill.coupon)
    if bill.fee:
        total = say("fee", f"{total} + {bill.fee}", total + bill.fee)
    return say("change", plus(bill.note, -total), bill.note - total) if bill.pays else total


def _cost(article: _Article, place: int, say: Say) -> int:
    price = article.price
    if article.percent:
        percent = abs(article.percent)
        part = say(f"part{place}", f"{price} * {percent} / 100", price * percent // 100)
        moved = part if article.percent > 0 else -part
        price = say(f"price{place}", plus(price, moved), price + moved)
    if article.amount:
        price = say(f"price{place}", plus(price, article.amount), price + article.amount)
    if article.many > 1:
        price = say(f"cost{place}", f"{price} * {article.many}", price * article.many)
    return price


def _draft(bill: _Bill) -> Draft:
    return Draft(
        question=tuple(_told(bill)),
        work=lambda say: _work(bill, say),
        shape=" ".join(article.shape for article in bill.articles)
        + f"{' coupon' * bool(bill.coupon)}{' fee' * bool(bill.fee)}{' change' * bill.pays}",
    )


def _told(bill: _Bill) -> Iterator[Sentence]:
    for article in bill.articles:
        slots = {"who": bill.buyer, "thing": article.thing, "n": str(article.price), "many": str(article.many)}
        yield Sentence("q_price", slots)
        moved = article.percent or article.amount
        if moved:
            rule = f"q_{'rise' if moved > 0 else 'fall'}_{'percent' if article.percent else 'amount'}"
            yield Sentence(rule, slots | {"n": str(abs(moved))})
        yield Sentence("q_buys_many" if article.many > 1 else "q_buys", slots)
    if bill.coupon:
        yield Sentence("q_coupon", {"n": str(bill.coupon)})
    if bill.fee:
        yield Sentence("q_fee", {"n": str(bill.fee)})
    yield Sentence("q_change" if bill.pays else "q_bill", {"who": bill.buyer, "n": str(bill.note)})
