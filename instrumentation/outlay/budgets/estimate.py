"""How much a call may use and cost at most, worked out before it is sent.

The input is what the body weighs (`weigh`) times a factor by provider, then by experience; the output the request's own
cap, else the most its model writes (`ceilings`); the money the dearest that each token can be billed at (`rates`), and
the fees of tools the provider runs (`asked`). What the request leaves open (no cap, a conversation the provider keeps,
pages a search finds) is taken at the model's maximum, or at what 99 of 100 such calls stayed under: a budget's
`uncapped` says which. docs/budgets.md says what each means for a limit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final, NamedTuple

from outlay.budgets.asked import PLAIN, Asked, asked_of, searches_by_itself
from outlay.budgets.ceilings import Ceiling, ceiling_of
from outlay.budgets.experience import FIRST_FACTOR, OTHERS_FACTOR, Experience
from outlay.budgets.rates import Card, card_of
from outlay.budgets.weigh import Size, size_of
from outlay.model import STANDARD_TERMS, Cost, Terms, Usage
from outlay.prices import PriceBook, Unpriced
from outlay.providers.base import Request
from outlay.units import TOKENS_PER_RATE

_UNSEEN: Final = 0.5
"""Tokens a character, where a body is no longer at hand."""
_ENVELOPE: Final = {"openai": 32, "xai": 320}
_ENVELOPES: Final = 64
"""What stands around a prompt: roles, separators, a provider's own instructions."""
_TOOLS_ENVELOPE: Final = {"openai": 350, "google": 350, "google-vertex": 350}
_TOOLS_ENVELOPES: Final = 1_200
"""What a provider says to its model about tools."""
_MODELS_REMEMBERED: Final = 1_024
_CARDS_REMEMBERED: Final = 64
_STEP: Final = 8_192
"""Prices that grow with the input are looked up at the next multiple of this many tokens."""
_MAY_PRIORITISE: Final = frozenset({"openai", "azure"})
"""Whose projects may be set to a dearer tier for requests that name none."""
_PLAIN_OPERATIONS: Final = frozenset({"chat", "text_completion", "embeddings", "generate_content"})
_PICTURE_TOKENS: Final = 8_192
_FORM_PICTURES: Final = 2
_SPEECH_TOKENS_PER_CHARACTER: Final = 4
_LONGEST_AUDIO_S: Final = 7_200
_LONGEST_PAGES: Final = 1_000
_DOCUMENTS_A_SEARCH: Final = 100


class Parts(NamedTuple):
    """Tokens of a call by kind, at most."""

    text: int
    images: int
    audio: int
    video: int
    output: int

    @property
    def read(self) -> int:
        return self.text + self.images + self.audio + self.video

    @property
    def total(self) -> int:
        return self.read + self.output


class Worst(NamedTuple):
    """The worst case of one call, and what it rests on."""

    read: int
    tokens: int
    nano_usd: int | None
    """None where the model has no price."""
    experience: Experience
    short: float
    """The corrections of then: `Experience.short` and `dearer`."""
    dearer: float
    request: Request
    size: Size
    asked: Asked = PLAIN
    open_parts: Parts | None = None
    """None where the request itself bounds what it may come to."""
    card: Card | None = None
    fees: int = 0

    @property
    def is_open_ended(self) -> bool:
        """Whether the body does not show all that will be read."""
        return self.size.open_ended or self.asked.uses > 0


class _Profile:
    """One model: what it can do, what it costs, what its calls showed."""

    __slots__ = ("cards", "ceiling", "envelope", "experience", "model", "searches", "tools_envelope")

    def __init__(self, provider: str, model: str | None) -> None:
        self.model = model
        self.searches = searches_by_itself(model)
        self.ceiling = ceiling_of(model)
        self.experience = Experience(FIRST_FACTOR.get(provider, OTHERS_FACTOR))
        self.envelope = _ENVELOPE.get(provider, _ENVELOPES)
        self.tools_envelope = _TOOLS_ENVELOPE.get(provider, _TOOLS_ENVELOPES)
        self.cards: dict[tuple[Terms | None, bool, int], tuple[int, int, Card]] = {}
        """By terms, whether a dearer tier may serve, and size: from when until when the rates stand, in nanoseconds."""


class Estimator:
    """Worst cases from a price book and from experience."""

    def __init__(self, book: PriceBook) -> None:
        self._book = book
        self._profiles: dict[tuple[str, str | None], _Profile] = {}

    def worst(self, provider: str, request: Request, at_ns: int) -> Worst:
        """The most this call may use and cost, everything left open at the model's maximum."""
        profile = self._profiles.get((provider, request.model)) or self._new_profile(provider, request.model)
        body = request.prompt.body
        if body is None:
            size, asked = Size(text=request.prompt.characters * _UNSEEN), PLAIN
        else:
            size, asked = size_of(body), asked_of(body, searches=profile.searches)
        cap, experience = request.max_output_tokens, profile.experience
        if asked is not PLAIN or not size.is_plain or cap is None or request.operation not in _PLAIN_OPERATIONS:
            return self._worst_of_more(provider, profile, request, size, asked, at_ns)
        text = min(int(size.text * experience.factor * experience.short) + profile.envelope, profile.ceiling.window)
        card, nano_usd = self._card(provider, profile, request, asked, text, at_ns), None
        if request.operation == "embeddings":
            cap = 0
        if card is not None:
            micro = text * card.marked(size) + cap * card.output
            nano_usd = -(-micro // TOKENS_PER_RATE) + card.request
            nano_usd = _corrected(nano_usd, card, experience)
        return Worst(text, text + cap, nano_usd, experience, experience.short, experience.dearer, request, size)

    def _worst_of_more(
        self, provider: str, profile: _Profile, request: Request, size: Size, asked: Asked, at_ns: int
    ) -> Worst:
        """Of a call that is more than capped text in and text out."""
        parts = _parts(profile, request, size, asked)
        card, fees, nano_usd = self._card(provider, profile, request, asked, parts.read, at_ns), 0, None
        if card is not None:
            fees = _fees(card, request, asked, size)
            nano_usd = _corrected(_nano_usd(card, parts, size, request, asked) + fees, card, profile.experience)
        is_open = request.max_output_tokens is None or size.open_ended or asked.uses > 0
        open_parts = parts if is_open else None
        read = parts.read
        known = profile.experience
        return Worst(
            read, read + parts.output, nano_usd, known, known.short, known.dearer, request, size, asked, open_parts,
            card, fees,
        )  # fmt: skip

    def likely(self, worst: Worst) -> tuple[int, int | None]:
        """Tokens and nano-USD that 99 of 100 calls like it stayed under; the worst case until enough were seen."""
        parts, experience = worst.open_parts, worst.experience
        if parts is None:
            return worst.tokens, worst.nano_usd
        if worst.request.max_output_tokens is None and experience.outputs.p99 is not None:
            parts = parts._replace(output=min(parts.output, experience.outputs.p99))
        if worst.is_open_ended and experience.inputs.p99 is not None:
            parts = Parts(min(parts.read, experience.inputs.p99), 0, 0, 0, parts.output)
        if worst.card is None or worst.nano_usd is None:
            return parts.total, None
        nano_usd = _nano_usd(worst.card, parts, worst.size, worst.request, worst.asked) + worst.fees
        return parts.total, min(worst.nano_usd, _corrected(nano_usd, worst.card, experience) or 0)

    def learn(self, worst: Worst, cost: Cost | None, usage: Usage | None) -> None:
        """Take note of what a call really used and cost."""
        experience, used = worst.experience, None if usage is None else usage.input_tokens
        if usage is not None and used is not None:
            if worst.is_open_ended:
                experience.inputs.add(used)
            else:
                experience.read(worst.size.text, used, worst.read, worst.short, is_plain=worst.size.is_plain)
            if worst.request.max_output_tokens is None:
                experience.outputs.add(usage.output_tokens or 0)
            experience.count()
        if cost is not None and cost.nano_usd is not None and worst.nano_usd:
            experience.cost(cost.nano_usd, worst.nano_usd, worst.dearer)

    def _new_profile(self, provider: str, model: str | None) -> _Profile:
        if len(self._profiles) >= _MODELS_REMEMBERED:
            self._profiles.clear()
        profile = self._profiles[provider, model] = _Profile(provider, model)
        return profile

    def _card(
        self, provider: str, profile: _Profile, request: Request, asked: Asked, tokens: int, at_ns: int
    ) -> Card | None:
        """The rates at their dearest. Worked out anew when a price may have changed."""
        may_be_dearer = not asked.names_tier and profile.experience.may_be_dearer
        step = -(-tokens // _STEP)
        terms = None if request.terms is STANDARD_TERMS else request.terms
        key = terms, may_be_dearer, step
        known = profile.cards.get(key)
        if known is not None and known[0] <= at_ns < known[1]:
            return known[2]
        prices = []
        for terms in _served(provider, request.terms, may_be_dearer=may_be_dearer):
            price = self._book.find(
                provider=provider, model=request.model, at_ns=at_ns, terms=terms, input_tokens=step * _STEP
            )
            if isinstance(price, Unpriced):
                return None
            prices.append(price)
        card = card_of(prices)
        if len(profile.cards) >= _CARDS_REMEMBERED:
            profile.cards.clear()
        profile.cards[key] = at_ns, self._book.same_until_ns(provider, request.model, at_ns), card
        return card


def _served(provider: str, asked: Terms, *, may_be_dearer: bool) -> Iterator[Terms]:
    """The terms a call may be billed on that asks for these."""
    yield asked
    if asked.batch:
        return
    if asked.service_tier not in (None, "priority"):
        yield replace(asked, service_tier=None)  # where there is no room on the tier, the standard one serves
    if may_be_dearer and asked.service_tier is None and provider in _MAY_PRIORITISE:
        yield replace(asked, service_tier="priority")
    if may_be_dearer and asked.region is None and provider == "anthropic":
        yield replace(asked, region="us")  # a workspace may hold inference there


def _parts(profile: _Profile, request: Request, size: Size, asked: Asked) -> Parts:
    ceiling, experience = profile.ceiling, profile.experience
    text = int(size.text * experience.factor) + profile.envelope
    if asked.has_tools:
        text += profile.tools_envelope
    if experience.short > 1:
        text = int(text * experience.short)
    text = min(text, ceiling.window)
    if size.is_plain and not asked.uses and request.operation in _PLAIN_OPERATIONS:
        return Parts(text, 0, 0, 0, _output(ceiling, request, asked))
    if request.operation == "transcription":
        return Parts(0, 0, ceiling.window, 0, ceiling.output)
    images = size.images * ceiling.image
    if request.operation == "image_generation" and not request.prompt.body:
        images += _FORM_PICTURES * ceiling.image
    text = ceiling.window if size.open_ended or asked.uses else min(text + size.file_tokens, ceiling.window)
    return Parts(text, images, size.audio, size.video, _output(ceiling, request, asked))


def _output(ceiling: Ceiling, request: Request, asked: Asked) -> int:
    cap = request.max_output_tokens
    if cap is not None and asked.alternatives == 1:
        return cap
    if request.operation in ("embeddings", "rerank", "moderation", "ocr"):
        return 0
    if request.operation == "image_generation":
        return asked.pictures * _PICTURE_TOKENS
    if request.operation == "speech":
        return int(request.prompt.characters * _SPEECH_TOKENS_PER_CHARACTER) + _PICTURE_TOKENS // 8
    if cap is None:
        return ceiling.output * asked.alternatives
    return max(cap, cap // asked.pictures * asked.alternatives)  # the cap is that of `n` answers together


def _fees(card: Card, request: Request, asked: Asked, size: Size) -> int:
    """What is charged beside tokens, at most."""
    fees, total = card.fees, card.request
    if asked.uses:
        total += asked.uses * max((fees.get(unit, 0) for unit in asked.fees), default=0)
    operation = request.operation
    if operation == "rerank":
        total += fees.get("rerank_search", 0) * (1 + int(size.text) // _DOCUMENTS_A_SEARCH // 16)
    elif operation == "ocr":
        total += fees.get("page", 0) * _LONGEST_PAGES
    elif operation == "image_generation":
        total += fees.get("image", 0) * asked.pictures
    elif operation == "speech":
        total += fees.get("character", 0) * request.prompt.characters
    elif operation == "transcription":
        total += fees.get("audio_second", 0) * _LONGEST_AUDIO_S
    return total


def _nano_usd(card: Card, parts: Parts, size: Size, request: Request, asked: Asked) -> int:
    """What those tokens cost at their dearest."""
    text, output = card.marked(size), card.output
    if asked.wants_audio or request.operation == "speech":
        output = card.output_audio
    if asked.wants_images or request.operation == "image_generation":
        output = max(output, card.output_image)
    micro = parts.text * text + parts.output * output
    if size.open_ended and size.has_audio:
        micro += parts.text * max(0, card.audio - text)
    micro += parts.images * max(text, card.image) + parts.audio * card.audio + parts.video * card.video
    return -(-micro // TOKENS_PER_RATE)


def _corrected(nano_usd: int, card: Card, experience: Experience) -> int | None:
    """By what calls cost above it. None where the price has no rate for what the call is charged by; 0 only where the
    model is free."""
    if not nano_usd:
        return 0 if card.is_free else None
    return nano_usd if experience.dearer <= 1 else int(nano_usd * experience.dearer) + 1
