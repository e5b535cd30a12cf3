"""Many ways to train on the same data, run one after another or side by side, and their leaderboard."""
