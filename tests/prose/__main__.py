"""Count the marks of hard prose, and draw samples for a reader.

python -m tests.prose                            # the table. Exit status 1 if a bound is exceeded
python -m tests.prose --list what ';' long       # every such sentence with file and line
python -m tests.prose --within services cli      # only these folders
python -m tests.prose --sample 150 --seed 7 --docstrings
"""

import argparse
import random
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.prose.marks import marks, over_bounds, tally
from tests.prose.texts import CODE, MARKDOWN, MESSAGES, Text, repository_texts

ROOT = Path(__file__).resolve().parent.parent.parent
GROUPS = (CODE, MESSAGES, MARKDOWN)


def main(arguments: Sequence[str]) -> int:
    """Print the table, the marked sentences or a sample. Return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.prose", description=__doc__.split("\n")[0])
    parser.add_argument("--root", type=Path, default=ROOT, help="another checkout")
    parser.add_argument("--within", nargs="+", default=[], help="files or folders, from the root")
    parser.add_argument("--list", nargs="+", default=[], help='marks to list: what ";" long opening word')
    parser.add_argument("--group", choices=GROUPS, help="only this group of texts")
    parser.add_argument("--docstrings", action="store_true", help="only docstrings")
    parser.add_argument("--sample", type=int, help="number of texts to draw at random and print")
    parser.add_argument("--seed", type=int, default=0, help="seed of the sample")
    options = parser.parse_args(arguments)
    texts = [
        text
        for text in repository_texts(options.root)
        if (options.group or text.group) == text.group
        and (text.is_docstring or not options.docstrings)
        and _is_within(text, options.root, options.within)
    ]
    if options.sample:
        for text in random.Random(options.seed).sample(texts, min(options.sample, len(texts))):
            print(f"== {_location(text, options.root)}\n{text.text.strip()}\n")
        return 0
    for text in texts if options.list else ():
        for mark in marks(text):
            if mark.kind in options.list:
                print(f"{_location(text, options.root)}: {mark.kind}: {mark.excerpt}")
    return _report(texts)


def _report(texts: Sequence[Text]) -> int:
    faults = []
    print(
        f"{'per 1,000 words':16}{'words':>8}{'what':>7}{';':>7}{'where':>7}{'if':>7}{'of':>7}{'one(s)':>8}",
        end="",
    )
    print(f"{'long':>8}{'refused':>9}")
    for group in GROUPS:
        counts = tally(text for text in texts if text.group == group)
        rates = [counts.per_1000(counts.words[word]) for word in ("where", "if", "of")]
        ones = counts.per_1000(counts.words["one"] + counts.words["ones"])
        what, semicolons = counts.per_1000(counts.words["what"]), counts.per_1000(counts.semicolons)
        print(f"{group:16}{counts.word_count:8,}{what:7.1f}{semicolons:7.1f}", end="")
        print("".join(f"{rate:7.1f}" for rate in rates), end="")
        print(f"{ones:8.1f}{counts.long_sentence_share:8.1%}{counts.refused:9}")
        faults += over_bounds(group, counts)
    print("\n".join(faults))
    return 1 if faults else 0


def _location(text: Text, root: Path) -> str:
    return f"{text.path.relative_to(root)}:{text.line}"


def _is_within(text: Text, root: Path, folders: Sequence[str]) -> bool:
    return not folders or any(text.path.is_relative_to(root / folder) for folder in folders)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
