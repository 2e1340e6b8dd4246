"""Does a question stand alone, or does it lean on the conversation before it? English only: the words are below.

A question leans where a pronoun has nothing before it to stand for, where it opens or closes like the continuation of
something ("and …", "what about …", "… instead?"), or where it names too little to be looked for.
"""

from __future__ import annotations

import re
from typing import Literal

# Why a question leans on what was said before it.
Sign = Literal["pronoun", "opening", "closing", "short"]

# A question of fewer content words names too little to be looked for by itself.
FEW_WORDS = 3
# So many content words before a personal pronoun: it stands for one of them.
ANTECEDENT_WORDS = 2
# A longer question says what it is about; a pasted log that starts with "And" is no follow-up.
LONGEST = 100
LONGEST_WORD = 40
# Words at the start that may be said before the question proper begins: "ok, well, and what about …".
POLITE_WORDS = 6

_TOKEN = re.compile(r"[^\W_]+(?:['’][^\W_]+)?|[.?!,;:]")

_STOP_WORDS = """
a about ah all also am an and any are as at be been being both but by can can't cannot could couldn't did didn't do
does doesn't don't each else ever every few for from had has hasn't have haven't having he he's her here hers hey hi
hello him his hmm how i i'd i'll i'm i've if in into is isn't it it's its just let let's many may me might mine more
most much must my no nor not of off oh ok okay on only or other others our ours out own please really same shall she
she's should shouldn't so some such than thank thanks that that's the their theirs them then there there's these they
they're they've this those to too up us very was wasn't we we're we've well were weren't what what's when where which
who who's whom whose why will with won't would wouldn't yeah yes you you're your yours another one ones d ll m re s t
ve
"""
# Content words to a search engine, but never what a question is about.
_LIGHT_WORDS = """
ask asking clarify come correct curious describe detail details difference example examples explain find fine get gets
getting give given gives go goes going good got great happen happened happens help important info information
interested issue issues kind kinds know learn like list look looking looks made make makes making mean means meant
need needed needs possible provide question referring refer right said say says second see sense sort sorry summarize
take talk talking tell thing things think told true try type types understand use used uses using wait want wanted
wants way ways work works
"""
_PRONOUNS = "it it's its they they're they've them their theirs he he's him his she she's her hers ones"
_DEMONSTRATIVES = "this these those"
# "That" points back where a clause begins with it; elsewhere it mostly joins two.
_THAT_IS = ("that's", "that is", "that was", "that ws", "that isn't", "that wasn't", "that sounds", "that means")
# What comes before a first content word of any question, or stands alone: nobody's topic.
_POLITE = "ok okay yes yeah no thanks thank you sorry oh ah hmm well wait please great good i see got it a second"
# Single words that only continue, at a question's start.
_OPENING_WORDS = "and but or so then also besides otherwise more"
_OPENINGS = (
    "what about",
    "how about",
    "what else",
    "any other",
    "i mean",
    "i meant",
    "i'm asking",
    "i am asking",
    "i'm referring",
    "i am referring",
    "i'm talking",
    "i am talking",
    "you say",
    "you said",
    "you mentioned",
    "tell me more",
    "why not",
    "how so",
)
_CLOSING_WORDS = "instead too there again else then one ones others another"
_CLOSINGS = ("as well", "that one", "do that", "of that", "about that", "than that", "the same", "the other")
# "It" that stands for nothing, by the words after it: "is it possible", "does it make sense", "it is safe".
_EMPTY_IT = """
possible impossible true safe legal illegal better best worth necessary common easy easier hard important okay ok
allowed permitted required correct make take cost matter seem seems mandatory normal advisable recommended
"""
# The asker says that something else begins.
_SHIFTS = (
    "by the way",
    "by the away",
    "another question",
    "different question",
    "new question",
    "unrelated question",
    "another topic",
    "different topic",
    "new topic",
    "change the topic",
    "change the subject",
    "changing the topic",
    "changing the subject",
    "moving on",
)


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _phrases(texts: tuple[str, ...]) -> frozenset[tuple[str, ...]]:
    return frozenset(tuple(each.split()) for each in texts)


_STOP = _set(_STOP_WORDS) | _set(_LIGHT_WORDS)
_PERSONAL, _POINTING = _set(_PRONOUNS), _set(_DEMONSTRATIVES)
_BEFORE, _CONTINUES, _ENDS, _EMPTY = _set(_POLITE), _set(_OPENING_WORDS), _set(_CLOSING_WORDS), _set(_EMPTY_IT)
_OPEN, _CLOSE, _SHIFT, _THAT = (_phrases(each) for each in (_OPENINGS, _CLOSINGS, _SHIFTS, _THAT_IS))
_MARKS = frozenset(".?!,;:")
_SENTENCE_ENDS = frozenset(".?!")


def tokens(text: str) -> list[str]:
    """Words and punctuation marks in their order, as they were written but for the apostrophe."""
    return [match.group().replace("’", "'") for match in _TOKEN.finditer(text)]


def content_words(text: str) -> list[str]:
    """The words that say what a text is about, as they were written, in its order, repeated ones too."""
    return [each for each in tokens(text) if _says_something(each)]


def sign_of_dependence(question: str) -> Sign | None:
    """What shows that the question leans on the conversation; None where it stands alone or opens another topic."""
    written = tokens(question)
    words = [each.casefold() for each in written]
    if len(words) > LONGEST or _holds(words, _SHIFT) or not _is_latin(question):
        return None
    if _points_back(words):
        return "pronoun"
    if _opens_as_more(words):
        return "opening"
    if _closes_as_more(words):
        return "closing"
    return "short" if sum(map(_says_something, written)) < FEW_WORDS else None


def _says_something(word: str) -> bool:
    folded = word.casefold()
    return (
        folded not in _STOP and folded not in _MARKS and len(word) <= LONGEST_WORD and (len(word) > 1 or word.isupper())
    )


def _is_latin(text: str) -> bool:
    """Whether most letters are of the script in which these rules can tell anything."""
    letters = [each for each in text if each.isalpha()]
    return 2 * sum(each < "\u0250" for each in letters) >= len(letters)


def _points_back(words: list[str]) -> bool:
    """Whether a pronoun has nothing in the question that it could stand for."""
    named = 0
    for place, word in enumerate(words):
        if word in _POINTING:
            return True
        if word in _PERSONAL and named < ANTECEDENT_WORDS and not _is_empty(words, place):
            return True
        if _begins(words, place) and tuple(words[place : place + 1 + (word == "that")]) in _THAT:
            return True
        named += _says_something(word)
    return False


def _is_empty(words: list[str], place: int) -> bool:
    """Whether the "it" there stands for nothing: a word or two on comes what is possible, true, worth doing."""
    if words[place] not in {"it", "it's"}:
        return False
    return any(each in _EMPTY for each in words[place + 1 : place + 4])


def _begins(words: list[str], place: int) -> bool:
    return place == 0 or words[place - 1] in _MARKS


def _opens_as_more(words: list[str]) -> bool:
    for place in range(min(len(words), POLITE_WORDS)):
        if words[place] in _CONTINUES or any(tuple(words[place : place + size]) in _OPEN for size in (2, 3)):
            return True
        if words[place] not in _BEFORE and words[place] not in _MARKS:
            return False
    return False


def _closes_as_more(words: list[str]) -> bool:
    """Whether one of the question's sentences ends in a word that continues something."""
    for place, word in enumerate([*words, "."]):
        if word not in _SENTENCE_ENDS or place == 0:
            continue
        if words[place - 1] in _ENDS or tuple(words[max(0, place - 2) : place]) in _CLOSE:
            return True
    return False


def _holds(words: list[str], phrases: frozenset[tuple[str, ...]]) -> bool:
    return any(tuple(words[place : place + size]) in phrases for place in range(len(words)) for size in (2, 3))
