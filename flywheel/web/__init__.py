"""The dashboard: pages a person reads while the loop turns. It reads projections and asks; it decides nothing."""
