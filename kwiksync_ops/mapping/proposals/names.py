"""Names compared as people read them: `LastModifiedDate`, `last_modified_on` and `Letzte Änderung` by their words."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from difflib import SequenceMatcher
from functools import lru_cache

Words = tuple[str, ...]

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "ß": "ss"})
_NEAR = 0.84
_SHORTEST_NEAR = 5
_LEFT_OVER, _LEFT_OVER_OF_ONE, _LIGHT = 0.13, 0.3, 0.06
"""What each word that the other name does not have takes away; more from a name of one word, which says little, and
less where it only says what form the value has."""
_FORMS = frozenset({"code", "display", "field", "full", "id", "key", "login", "name", "text", "value"})

_SAME = {
    "address": "addr anschrift adresse",
    "amount": "amt",
    "assign": "assigned assignee zugewiesen",
    "category": "cat kategorie",
    "change": "changed modified modify update updated edited written write geaendert aenderung",
    "city": "ort stadt",
    "close": "closed geschlossen",
    "complete": "completed finished finish abgeschlossen",
    "country": "land",
    "create": "created creation angelegt erstellt",
    "customer": "cust client account partner kunde kunden",
    "date": "dt datum",
    "deliver": "delivered delivery geliefert",
    "description": "desc descr beschreibung bezeichnung",
    "due": "deadline faellig",
    "end": "ended ende",
    "id": "ident identifier uuid guid sysid sid",
    "latitude": "lat breitengrad",
    "location": "loc site standort standorte facility premises",
    "longitude": "lng lon long laengengrad",
    "manager": "mgr leiter",
    "maximum": "max",
    "minimum": "min mindest",
    "name": "nm",
    "number": "no num nr nbr nummer",
    "open": "opened reported eroeffnet",
    "percent": "pct percentage prozent",
    "priority": "prio prioritaet",
    "product": "prod produkt",
    "project": "proj projekt projekte",
    "quantity": "qty menge anzahl bestand",
    "remark": "remarks comment comments note notes bemerkung",
    "serial": "ser serien",
    "resolve": "resolved solved",
    "short": "brief kurz",
    "start": "started begin began beginn",
    "street": "str strasse road",
    "summary": "subject headline betreff",
    "status": "zustand",
    "tag": "barcode",
    "ticket": "incident case issue vorgang meldung meldungen",
    "time": "tm timestamp ts zeit",
    "type": "typ kind art",
    "zip": "postcode postal postalcode plz",
}
_CANON = {word: canon for canon, words in _SAME.items() for word in words.split()}
_KNOWN = frozenset({*_SAME, *_CANON, "at", "by", "code", "id", "no", "on", "owner", "resolve", "resolution", "status"})
"""Words that are told from each other where they are written as one."""
_WHEN = frozenset({"date", "time", "at", "on", "when", "datetime"})
_FILLING = frozenset({"the", "of", "a", "an", "u", "fk", "field", "value", "code", "key"})


@lru_cache(maxsize=8192)
def words_of(name: str) -> Words:
    """The words of a name, each in the one form that stands for all that mean the same; times end in `when`."""
    plain = unicodedata.normalize("NFKD", name.translate(_UMLAUTS)).encode("ascii", "ignore").decode()
    found = (part for word in _WORD.findall(plain) for part in _parts(word.lower()))
    return tuple(dict.fromkeys(map(_canonical, found)))


def telling_words(name: str, noun: Words) -> Words:
    """The words that tell more than whose field it is: `ticket_number` of tickets is a number."""
    words = words_of(name)
    told = tuple(word for word in words if word not in noun and word not in _FILLING)
    return told or words


@lru_cache(maxsize=65_536)
def similarity(one: Words, other: Words) -> float:
    """1 for the same words in whatever order, 0 for none in common; a word that is left over takes a little."""
    if not one or not other:
        return 0.0
    common = [word for word in one if any(is_near(word, known) for known in other)]
    if not common:
        return _spelling(one, other)
    missing = len(other) - len(common)
    extra = [word for word in one if word not in common]
    if missing and set(common) == {"when"}:
        return 0.0
    loss = _LEFT_OVER_OF_ONE if len(other) == 1 else _LEFT_OVER
    lost = sum(_LIGHT if word in _FORMS or len(word) == 1 else loss for word in extra)
    return max(len(common) / len(other) * (1 - lost), 0.0) if missing < len(other) else 0.0


def best_similarity(one: Words, others: Iterable[Words]) -> float:
    return max((similarity(one, other) for other in others), default=0.0)


@lru_cache(maxsize=65_536)
def is_near(word: str, other: str) -> bool:
    """The same, or spelled alike."""
    if word == other:
        return True
    if min(len(word), len(other)) < _SHORTEST_NEAR:
        return False
    return SequenceMatcher(None, word, other).ratio() >= _NEAR


def _spelling(one: Words, other: Words) -> float:
    """Names that are written without a break: `duedate`."""
    left, right = "".join(one), "".join(other).replace("when", "date")
    return 0.9 if left == right or is_near(left, right) else 0.0


@lru_cache(maxsize=8192)
def _parts(word: str) -> tuple[str, ...]:
    """A word that is two or three known ones without a break: `createdon`, `ticketnumber`."""
    if word in _KNOWN or _singular(word) in _KNOWN:
        return (word,)
    for end in range(len(word) - 1, 1, -1):
        if word[:end] in _KNOWN:
            rest = _parts(word[end:])
            if len(rest) < 3 and all(part in _KNOWN for part in rest):
                return (word[:end], *rest)
    return (word,)


def _canonical(word: str) -> str:
    known = _CANON.get(word) or _CANON.get(singular := _singular(word), singular)
    return "when" if known in _WHEN else known


def _singular(word: str) -> str:
    if len(word) > 3 and word.endswith("ies"):
        return word[:-3] + "y"
    is_plural = len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is"))
    return word[:-1] if is_plural else word
