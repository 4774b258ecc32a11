"""The package of texts: from a column of texts to ids of tokens."""
