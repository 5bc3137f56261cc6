"""The scikit-learn classifier of windows, and what it is fitted and checked with."""
