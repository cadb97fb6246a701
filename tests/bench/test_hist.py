# SPDX-License-Identifier: MIT
"""Histograms of several generators are the one of all their values."""

import unittest

from hist import SUB, added, bucket_top


def hist_of(values):
    """What hist_print_json prints of values below SUB, where a bucket is a value."""
    counts = {v: values.count(v) for v in values}
    return {"n": len(values), "max": max(values, default=0), "buckets": sorted(map(list, counts.items()))}


class Hist(unittest.TestCase):
    def test_buckets_above_the_exact_ones_double_their_width(self):
        self.assertEqual([bucket_top(at) for at in (0, 63, 64, 127, 128, 129)], [0, 63, 64, 127, 129, 131])

    def test_two_are_the_one_of_both(self):
        a, b = list(range(0, 50)), list(range(10, SUB))
        both = sorted(a + b)
        whole = added([hist_of(a), hist_of(b)])
        self.assertEqual((whole["n"], whole["max"]), (len(both), 63))
        self.assertEqual(whole["p50"], both[round(0.5 * len(both)) - 1])
        self.assertEqual(whole["p99"], both[round(0.99 * len(both)) - 1])
        self.assertEqual(whole["buckets"], hist_of(both)["buckets"])

    def test_nothing_has_no_quantile(self):
        self.assertEqual(added([hist_of([]), hist_of([])])["p99"], 0)


if __name__ == "__main__":
    unittest.main()
