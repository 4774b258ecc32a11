"""Whether the explanations of a run are themselves sound: `whyport faithfulness`."""
