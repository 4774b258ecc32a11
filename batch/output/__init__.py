"""What lies in the output folder of a run, written and read by one room."""
