# SPDX-License-Identifier: MIT
"""Histograms of the load generator (hist.h), added up over several of them."""

SUB = 64  # HIST_SUB


def bucket_top(at):
    """Upper bound in us of bucket `at`."""
    shift = at // SUB
    return at if shift == 0 else ((SUB + at % SUB + 1) << (shift - 1)) - 1


def added(hists):
    """One histogram of several, as hist_print_json prints it."""
    buckets = {}
    for h in hists:
        for at, n in h["buckets"]:
            buckets[at] = buckets.get(at, 0) + n
    whole = {"n": sum(h["n"] for h in hists), "max": max(h["max"] for h in hists), "buckets": sorted(map(list, buckets.items()))}
    return {**whole, **{name: quantile(whole, q) for name, q in (("p50", 0.5), ("p99", 0.99), ("p999", 0.999))}}


def quantile(hist, q):
    rank, seen = max(1, int(q * hist["n"] + 0.5)), 0
    for at, n in hist["buckets"]:
        seen += n
        if seen >= rank:
            return min(bucket_top(at), hist["max"])
    return hist["max"] if hist["n"] else 0
