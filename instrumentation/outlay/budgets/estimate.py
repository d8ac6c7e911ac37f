"""How much a call may use and cost at most, guessed before it is sent.

Input tokens come from the length of the prompt with a safety factor, output tokens from the request's own cap. Both
are corrected by what the model's calls really used: a language that needs more tokens a character, images the length
does not show, answers shorter than the default for requests without a cap. A guess that was too low is made good when
the call is settled; `docs/budgets.md` says what that means for a limit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from outlay.model import NANO_USD_PER_USD, Usage
from outlay.prices import Price, PriceBook, Unpriced
from outlay.providers.base import Request
from outlay.units import TOKENS_PER_RATE

TOKENS_PER_CHARACTER: Final = 0.5
"""Before anything is learnt: twice what English prose needs, and the newer tokenizers' third on top."""
MOST_TOKENS_PER_CHARACTER: Final = 1.5
UNCAPPED_OUTPUT_TOKENS: Final = 4_096
"""What a request without a cap is taken to produce at most, until the model's own calls say better."""
_ENVELOPE_TOKENS: Final = 16
_SAFETY: Final = 1.35
_DECAY: Final = 0.98
_ENOUGH_CALLS: Final = 20
_LEAST_CHARACTERS: Final = 400
_MODELS_REMEMBERED: Final = 1_024
_PRICES_REMEMBERED: Final = 1_024
_INPUT_RATES: Final = ("input", "cache_write", "cache_write_5m", "cache_write_1h")


@dataclass(slots=True)
class _Learnt:
    """What a model's calls showed. Each is the most seen, fading with every further call."""

    calls: int = 0
    ratio: float = 0.0
    excess: float = 0.0
    output: float = 0.0


class Estimator:
    """Worst cases from a price book and from experience. Races between threads cost it a sample, no more."""

    def __init__(self, book: PriceBook) -> None:
        self._book = book
        self._learnt: dict[tuple[str, str | None], _Learnt] = {}
        self._rates: dict[int, tuple[Price, tuple[int, int]]] = {}

    def tokens(self, provider: str, request: Request) -> tuple[int, int]:
        """Input and output tokens of the call at most."""
        learnt = self._learnt.get((provider, request.model))
        ratio, excess, output = TOKENS_PER_CHARACTER, 0, UNCAPPED_OUTPUT_TOKENS
        if learnt is not None:
            excess = int(learnt.excess)
            if learnt.calls >= _ENOUGH_CALLS:
                ratio = learnt.ratio * _SAFETY or ratio
                output = int(learnt.output * _SAFETY) + 1
            else:
                ratio = max(ratio, learnt.ratio * _SAFETY)
        if request.operation == "embeddings":
            output = 0
        elif request.max_output_tokens is not None:
            output = request.max_output_tokens
        return int(request.prompt.characters * ratio) + _ENVELOPE_TOKENS + excess, output

    def nano_usd(self, provider: str, request: Request, tokens: tuple[int, int], at_ns: int) -> int | None:
        """What those tokens cost at the model's dearest rates, None where the model has no price."""
        price = self._book.find(
            provider=provider, model=request.model, at_ns=at_ns, terms=request.terms, input_tokens=tokens[0]
        )
        if isinstance(price, Unpriced):
            return None
        dearest, output = self._dearest(price)
        return -(-(tokens[0] * dearest + tokens[1] * output) // TOKENS_PER_RATE)

    def _dearest(self, price: Price) -> tuple[int, int]:
        """Nano-USD a million tokens: the dearest way to be read, and to be written. Prices are objects the book keeps,
        so that an object seen before is a price seen before."""
        known = self._rates.get(id(price))
        if known is not None and known[0] is price:
            return known[1]
        rates = [int(price.rates[unit] * NANO_USD_PER_USD) for unit in _INPUT_RATES if unit in price.rates]
        found = max(rates, default=0), int(price.rates.get("output", 0) * NANO_USD_PER_USD)
        if len(self._rates) >= _PRICES_REMEMBERED:
            self._rates.clear()
        self._rates[id(price)] = (price, found)
        return found

    def learn(self, provider: str, request: Request, usage: Usage) -> None:
        """Take note of what a call really used."""
        learnt = self._learnt.get((provider, request.model))
        if learnt is None:
            if len(self._learnt) >= _MODELS_REMEMBERED:
                self._learnt.clear()
            learnt = self._learnt[(provider, request.model)] = _Learnt()
        used, characters = usage.input_tokens, request.prompt.characters
        if used is not None:
            if characters >= _LEAST_CHARACTERS:
                ratio = min(used / characters, MOST_TOKENS_PER_CHARACTER)
                learnt.ratio = max(ratio, learnt.ratio * _DECAY)
            explained = characters * max(TOKENS_PER_CHARACTER, learnt.ratio) + _ENVELOPE_TOKENS
            learnt.excess = max(used - explained, learnt.excess * _DECAY)
        learnt.output = max(usage.output_tokens or 0, learnt.output * _DECAY)
        learnt.calls += 1
