"""Signatures of bundles and runs, in the format of OpenSSF's model-signing, by keys of one's own."""
