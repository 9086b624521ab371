"""What a competitive problem is about: python, math, algorithms or data structures. Pure.

A problem's own tags decide; without a tag that is known, whole words of its text do; without those it is python.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Literal, get_args

Domain = Literal["data_structures", "algorithms", "math", "python"]

DEFAULT: Domain = "python"
PRECEDENCE: tuple[Domain, ...] = get_args(Domain)  # of equal votes the more special domain wins

_SPLIT = re.compile(r"[\s_/-]+")


def _names(text: str) -> frozenset[str]:
    return frozenset(" ".join(name.split()) for name in text.split("|"))


#: Tags as the usual archives write them, lower case, one space between words.
TAGS: Mapping[Domain, frozenset[str]] = MappingProxyType(
    {
        "data_structures": _names(
            """data structures|data structure|tree|trees|binary tree|binary search tree|segment tree|binary indexed tree
            |fenwick tree|trie|heap|heap (priority queue)|priority queue|linked list|doubly linked list|stack
            |monotonic stack|queue|monotonic queue|deque|hash table|hashing|hashmap|hash map|dsu|union find
            |disjoint set|disjoint set union|ordered set|string suffix structures|suffix array|design"""
        ),
        "algorithms": _names(
            """algorithms|algorithm|dp|dynamic programming|greedy|binary search|ternary search|graph|graphs|graph theory
            |dfs|bfs|dfs and similar|depth first search|breadth first search|shortest path|shortest paths|flows
            |graph matchings|topological sort|minimum spanning tree|divide and conquer|two pointers|sliding window
            |backtracking|recursion|memoization|sorting|sortings|brute force|meet in the middle|bitmasks
            |constructive algorithms|prefix sum|search|string matching|2 sat|line sweep|scheduling"""
        ),
        "math": _names(
            """math|maths|mathematics|number theory|combinatorics|geometry|algebra|arithmetic|probability|probabilities
            |probability and statistics|statistics|matrices|matrix exponentiation|linear algebra|fft
            |chinese remainder theorem|modular arithmetic|primes|game theory|games|counting|calculus"""
        ),
        "python": _names(
            """python|implementation|simulation|string|strings|array|arrays|list|lists|matrix|io|input output|parsing
            |expression parsing|formatting|enumeration|regex|regular expressions|iterators|basics"""
        ),
    }
)

#: Words of a statement that speak for a domain; only whole words count.
WORDS: Mapping[Domain, tuple[str, ...]] = MappingProxyType(
    {
        "data_structures": (
            "tree", "trees", "binary tree", "linked list", "linked lists", "heap", "heaps", "priority queue", "stack",
            "stacks", "queue", "queues", "deque", "trie", "hash table", "hash map", "segment tree", "union find",
            "disjoint set", "lru cache",
        ),
        "algorithms": (
            "graph", "graphs", "shortest path", "shortest paths", "spanning tree", "dynamic programming", "greedy",
            "binary search", "subsequence", "subsequences", "subarray", "subarrays", "knapsack", "topological",
            "backtracking", "permutations", "minimum cost", "maximum profit", "sort", "sorted", "edges", "vertices",
        ),
        "math": (
            "prime", "primes", "factorial", "factorials", "divisor", "divisors", "divisible", "gcd", "lcm", "modulo",
            "prove", "proof", "probability", "polynomial", "equation", "equations", "integral", "derivative",
            "theorem", "geometry", "triangle", "triangles", "fibonacci", "combinatorics", "matrix multiplication",
            "square root", "logarithm", "coprime", "binomial",
        ),
        "python": (
            "python", "string", "strings", "dictionary", "list comprehension", "class", "decorator", "generator",
            "regular expression", "standard input", "file",
        ),
    }
)  # fmt: skip

_DOMAIN_OF_WORD: Mapping[str, Domain] = MappingProxyType(
    {word: domain for domain, words in WORDS.items() for word in words}
)
_WORD = re.compile(  # longest first: a spanning tree is no tree
    r"(?<!\w)(?:" + "|".join(re.escape(word) for word in sorted(_DOMAIN_OF_WORD, key=len, reverse=True)) + r")(?!\w)"
)


def domain_of(tags: Iterable[str], text: str) -> Domain:
    """Return the one domain of a problem, whatever the order of its tags."""
    votes = Counter(domain for tag in {_plain(tag) for tag in tags} for domain in PRECEDENCE if tag in TAGS[domain])
    return _most(votes) or _most(_words(text)) or DEFAULT


def _words(text: str) -> Counter[Domain]:
    return Counter(_DOMAIN_OF_WORD[word] for word in set(_WORD.findall(_plain(text))))


def _plain(text: str) -> str:
    return _SPLIT.sub(" ", text.strip().lower())


def _most(votes: Counter[Domain]) -> Domain | None:
    """Return the domain with the most votes; python only where nothing more special has one."""
    special = {domain: count for domain, count in votes.items() if count and domain != DEFAULT}
    best = max(special.values(), default=0)
    found = next((domain for domain in PRECEDENCE if best and special.get(domain) == best), None)
    return found or (DEFAULT if votes[DEFAULT] else None)
