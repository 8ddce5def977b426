"""Each hot path beside its peers, in one run; ends with 1 where a goal is missed."""

from __future__ import annotations

from benchmarks import downloads, feeds, hours, parsing, pollers, reviews, screen, soap


def main() -> int:
    """Run all benchmarks, one after the other, so that none disturbs another."""
    missed = [
        module.__name__
        for module in (parsing, soap, hours, feeds, downloads, reviews, screen, pollers)
        if module.main()
    ]
    print(f"Missed: {', '.join(missed)}" if missed else "All goals met")
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
