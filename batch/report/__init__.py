"""Pictures of a finished run: what `whyport report` shows, as data first and drawn afterwards."""
