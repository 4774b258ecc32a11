"""Tables: features, target, statistics, and the rows drawn from them."""
