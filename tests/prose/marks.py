"""The marks of hard prose, counted and bounded.

A count is a safety net, not the criterion: a reader who does not know the module must understand each sentence at
the first reading.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from tests.prose.texts import CODE, MARKDOWN, MESSAGES, Text

LONG_SENTENCE_WORDS = 40
MAX_WHAT_PER_1000 = 2.0
MAX_SEMICOLONS_PER_1000 = 3.0
MAX_LONG_SENTENCE_SHARE = 0.02
REFUSED_OPENINGS = ("Give", "Say", "Have", "Tell")
"""First words of a function's docstring. "Return" and "Report" say the same."""

REFUSED_WORDS = re.compile(
    r"\b(anew|reckon\w*|lately|whoever|mend(s|ed|ing)?|thereby|whereof|wherein|hitherto|beneath|betimes"
    r"|by itself alone|is no text|goes on with|go on with|that which|such as have|of which there)\b",
    re.IGNORECASE,
)
"""Words that this repository does not use."""

_COUNTED = ("what", "where", "if", "of", "one", "ones")
_WORD = re.compile(r"[A-Za-z][A-Za-z'-]*|CODE")
_SENTENCE_END = re.compile(r"(?<=[.!?])[\"')*_]*\s+(?=[A-Z`*_\"'(\[]|CODE)")
_SECTION = re.compile(r"^\s*(Args|Returns|Raises|Yields|Attributes|Example|Examples|Note):\s*$")
_TABLE_ROW = re.compile(r"\S {3,}\S")
_ENTRY = re.compile(r"^\s*([-*]|\d+\.|[\w*.`, ]{1,40}:)\s")


@dataclass
class Tally:
    """The counts for one text group."""

    words: Counter[str] = field(default_factory=Counter)
    word_count: int = 0
    semicolons: int = 0
    sentences: int = 0
    long_sentences: int = 0
    refused: int = 0

    def per_1000(self, count: int) -> float:
        """Return the count per 1,000 words."""
        return 1000 * count / max(1, self.word_count)

    @property
    def long_sentence_share(self) -> float:
        """The share of sentences with more than 40 words."""
        return self.long_sentences / max(1, self.sentences)


@dataclass(frozen=True, slots=True)
class Mark:
    """One place that counts against a bound."""

    text: Text
    kind: str
    excerpt: str


def tally(texts: Iterable[Text]) -> Tally:
    """Count the marks in these texts."""
    counts = Tally()
    for text in texts:
        for sentence in sentences(text):
            words = _words(sentence)
            counts.sentences += bool(words)
            counts.word_count += len(words)
            counts.words.update(word.lower() for word in words if word.lower() in _COUNTED)
            counts.semicolons += sentence.count(";")
        kinds = Counter(mark.kind for mark in marks(text))
        counts.long_sentences += kinds["long"]
        counts.refused += kinds["opening"] + kinds["word"]
    return counts


def marks(text: Text) -> Iterator[Mark]:
    """Yield one text's marks, of these kinds: "what", ";", "long", "opening" and "word"."""
    opening = text.text.split(None, 1)[0] if text.text.strip() else ""
    if text.of_function and opening in REFUSED_OPENINGS:
        yield Mark(text, "opening", text.text.strip().split("\n")[0])
    for sentence in sentences(text):
        words = _words(sentence)
        if any(word.lower() == "what" for word in words):
            yield Mark(text, "what", sentence)
        if ";" in sentence:
            yield Mark(text, ";", sentence)
        if len(words) > LONG_SENTENCE_WORDS:
            yield Mark(text, "long", sentence)
        if REFUSED_WORDS.search(sentence):
            yield Mark(text, "word", sentence)


def over_bounds(group: str, counts: Tally) -> list[str]:
    """Return a line for every bound that a group's counts exceed.

    Semicolons are bounded in code and Markdown only: the template of an error message has one.
    """
    what = counts.per_1000(counts.words["what"])
    semicolons = counts.per_1000(counts.semicolons)
    lines = []
    if what > MAX_WHAT_PER_1000:
        lines.append(f'{group}: "what" occurs {what:.1f} times per 1,000 words, bound {MAX_WHAT_PER_1000:g}')
    if group in (CODE, MARKDOWN) and semicolons > MAX_SEMICOLONS_PER_1000:
        lines.append(
            f"{group}: {semicolons:.1f} semicolons per 1,000 words, bound {MAX_SEMICOLONS_PER_1000:g}"
        )
    if counts.long_sentence_share > MAX_LONG_SENTENCE_SHARE:
        share = counts.long_sentence_share
        lines.append(
            f"{group}: {share:.1%} of sentences have over 40 words, bound {MAX_LONG_SENTENCE_SHARE:.0%}"
        )
    if counts.refused:
        lines.append(f"{group}: {counts.refused} refused openings or words, bound 0; see --list opening word")
    return lines


def sentences(text: Text) -> Iterator[str]:
    """Yield a text's sentences. Code in backticks is one word. List items and table cells stand alone."""
    for paragraph in _paragraphs(text):
        for sentence in _SENTENCE_END.split(paragraph):
            if sentence.strip():
                yield sentence.strip()


def _words(sentence: str) -> list[str]:
    return _WORD.findall(sentence)


def _paragraphs(text: Text) -> Iterator[str]:
    body = text.text
    if text.group == MARKDOWN:
        body = re.sub(r"(?s)<!--.*?-->|^---\n.*?\n---\n", "", body)
        body = re.sub(r"(?ms)^( *)(```|~~~).*?^ *\2", "\n\n", body)
        body = re.sub(r"(?m)(?<=\n\n)((    |\t).*\n?)+", "\n", body)
        body = re.sub(r"\]\([^)]*\)", "]", body)
    elif text.group == CODE:
        body = re.sub(r"(?m)^( *)\S.*::\n((\1 +.*)?\n)*", "\n\n", body + "\n")
        body = re.sub(r"(?m)(?<=\n\n)(    {4,}.*\n?)+", "\n", body)
    body = re.sub(r"``[^`]+``|`[^`\n]+`", "CODE", body)
    body = re.sub(r"https?://\S+", "CODE", body)
    body = re.sub(r'"[^"\n]{1,60}"', "CODE", body)  # a quotation mentions words, it does not use them
    if text.group == MESSAGES:
        yield " ".join(body.split())
        return
    paragraph: list[str] = []
    for line in [*body.split("\n"), ""]:
        stripped = line.strip()
        starts = not stripped or stripped[0] in "|#>" or _ENTRY.match(line) or _SECTION.match(line)
        starts = starts or _TABLE_ROW.search(stripped)
        if starts and paragraph:
            yield " ".join(paragraph)
            paragraph = []
        if stripped.startswith("|"):
            yield from (cell.strip() for cell in stripped.strip("|").split("|"))
        elif stripped and not _SECTION.match(line):
            paragraph.append(stripped.lstrip("#> "))
